"""The language of a text: right for a sentence, silent for code, tables and single words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luthier.checks.languages import foreign_script, mixed_alphabets, text_language

SENTENCES = [
    ("English", "I would like to know when the parcel will be here and what it costs"),
    ("German", "Ich möchte wissen, wann das Paket kommt und was es mit der Rechnung auf sich hat"),
    ("French", "Je voudrais savoir quand le colis sera livré et pourquoi il est en retard dans la ville"),
    ("Spanish", "Quiero saber cuando llega el paquete y por qué no está en la casa de mi hermano"),
    ("Italian", "Vorrei sapere quando arriva il pacco e perché non è ancora in casa di mio fratello"),
    ("Portuguese", "Quero saber quando chega a encomenda e por que não está na casa do meu irmão com os outros"),
    ("Dutch", "Ik wil graag weten wanneer het pakket komt en waarom het niet in de stad is"),
    ("Swedish", "Jag vill veta när paketet kommer och varför det inte är här med de andra"),
    ("Polish", "Chcę wiedzieć kiedy przyjdzie paczka i dlaczego nie jest jeszcze w domu na stole"),
    ("Turkish", "Paketin ne zaman geleceğini ve neden bu kadar geç olduğunu bilmek için çok bekledim ama gelmedi"),
    ("Russian", "Я хочу знать, когда придёт посылка и почему она не на месте"),
    ("Chinese", "我的订单还没有到，请帮我查一下什么时候可以到。"),
    ("Japanese", "注文した商品がまだ届きません。いつ届きますか"),
    ("Korean", "주문한 상품이 아직 오지 않았어요 언제 오나요"),
    ("Greek", "Πότε θα έρθει το δέμα μου στο σπίτι;"),
]
NONE = [
    "",
    "billing",
    "def main():\n    for index in range(10):\n        print(index)\n",
    "GET /v1/orders?limit=10 HTTP/1.1",
    "SELECT a, b FROM t WHERE a = 1 ORDER BY b",
    "| 1 | 2 | 3 |\n| 4 | 5 | 6 |",
    '{"de": "la", "en": "un"}',
    "αβ = 2π r",
]


@pytest.mark.parametrize(("language", "text"), SENTENCES)
def test_a_sentence_tells_its_language(language: str, text: str) -> None:
    assert text_language(text) == language


@pytest.mark.parametrize("text", NONE)
def test_short_text_and_code_tell_none(text: str) -> None:
    assert text_language(text) is None


def test_scripts_and_mixed_words() -> None:
    assert foreign_script("Где посылка, скажите", "English") == "Cyrillic"
    assert foreign_script("Где посылка, скажите", "Russian") is None
    assert foreign_script("naïve café — 5 €", "English") is None
    assert mixed_alphabets("my p\u0430ypal account") is not None
    assert mixed_alphabets("мой email на почте; ПК и iPhone") is None


def test_english_descriptions_of_programs_give_few_false_alarms() -> None:
    found = next((p for p in Path(__file__).resolve().parents if (p / "shared/data/style/train.jsonl").exists()), None)
    if found is None:
        pytest.skip("the data for development is not here")
    rows = (found / "shared/data/style/train.jsonl").read_text(encoding="utf-8").splitlines()
    languages = [text_language(json.loads(row)["messages"][1]["content"]) for row in rows]
    wrong = [language for language in languages if language not in (None, "English")]
    assert languages.count("English") > 0.9 * len(rows) and len(wrong) <= 0.002 * len(rows)


@given(st.text(max_size=300))
def test_any_text_gets_an_answer(text: str) -> None:
    assert text_language(text) is None or text_language(text)
    assert foreign_script(text, "English") != "Latin"
    assert foreign_script(text, "Greek") != "Greek"
