"""Which language a text is in: by its script, and for Latin and Cyrillic script by its commonest words."""

from __future__ import annotations

import re
from collections import Counter

__all__ = ["foreign_script", "mixed_alphabets", "text_language"]

# Function words, which make up a third of any text and differ between languages. A word of several counts for each.
_WORDS = {
    "English": "the of and to in is that for it with as was on are be this have from or not by at which you an "
    "were what when there how can your will would",
    "German": "der die und den das von zu mit sich des auf für ist im dem nicht ein eine als auch es an werden "
    "aus er hat dass sie nach wird bei einer um am sind noch wie einem über ich wir",
    "French": "de la le et les des en un du une que est pour qui dans par plus pas au sur ne se ce il sont avec "
    "aux son cette ou nous vous je mais être",
    "Spanish": "de la que el en y los se del las un por con no una su para es al lo como más pero sus le ya este "
    "sí porque esta entre cuando muy sin sobre",
    "Italian": "di che è e la il un a per una in non sono mi del con si ho ma lo ha le ti i della al come più "
    "anche dei nel questo gli alla delle",
    "Portuguese": "de que e o do da em um para com não uma os no se na por mais as dos como mas ao ele das à seu "
    "sua ou quando muito nos já eu também você",
    "Dutch": "de het een van en in is dat op te zijn met voor niet aan er om ook als bij dan uit naar maar "
    "door nog wordt over deze hij heeft worden ik je",
    "Swedish": "och i att det som en på är av för med den till inte om har de ett men var jag sig från vi så kan "
    "när eller hade",
    "Danish or Norwegian": "og i at det som en på er av af for med den til ikke om har de et men var jeg seg sig fra "
    "vi så kan når eller",
    "Polish": "i w nie na się z do to że jest o jak po co ale za od przez tak dla czy są tym było tylko może oraz",
    "Czech": "a se v na je že s z do to i o k ale by jako za pro si jsem podle nebo které také již jsou aby",
    "Turkish": "ve bir bu da de için çok ile daha olarak gibi kadar ne olan ama sonra en var mı değil ben",
    "Finnish": "ja on ei että se oli hän mutta ovat niin kuin kun myös joka tai jos mitä ole sen vain",
    "Romanian": "și de în la a cu nu pe este un că o din mai pentru care se au sau fi dar prin sunt",
    "Hungarian": "a az és hogy nem is egy ez van de meg volt csak már mint ha el még azt vagy",
    "Indonesian": "yang dan di untuk dengan ini dari itu pada tidak dalam akan adalah ke saya juga ada oleh atau",
    "Vietnamese": "và của là có được cho các trong một không với người những này đã khi để từ",
    "Russian": "и в не на я что он с как это по но из у за то все так его к же вы бы от она они мы где когда мне меня "
    "мой моя мое если или был была было будет нет уже только для до при чтобы который ко",
    "Ukrainian": "і в не на що з до як та це за є у від але про для він його ми",
    "Bulgarian": "и на да се в е за от не с че по са като той това до към но",
}
_SCRIPTS = (
    ("Cyrillic", "\u0400-\u052f"),
    ("Greek", "\u0370-\u03ff\u1f00-\u1fff"),
    ("Hebrew", "\u0590-\u05ff"),
    ("Arabic", "\u0600-\u06ff\u0750-\u077f"),
    ("Devanagari", "\u0900-\u097f"),
    ("Bengali", "\u0980-\u09ff"),
    ("Tamil", "\u0b80-\u0bff"),
    ("Thai", "\u0e00-\u0e7f"),
    ("Georgian", "\u10a0-\u10ff"),
    ("Hangul", "\u1100-\u11ff\uac00-\ud7a3"),
    ("Kana", "\u3040-\u30ff"),
    ("Han", "\u3400-\u4dbf\u4e00-\u9fff"),
)
_OF_SCRIPT = {"Greek": "Greek", "Hebrew": "Hebrew", "Arabic": "Arabic or Persian", "Devanagari": "Hindi or Marathi"}
_OF_SCRIPT |= {"Bengali": "Bengali", "Tamil": "Tamil", "Thai": "Thai", "Georgian": "Georgian", "Hangul": "Korean"}
_SCRIPTS_OF: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("Russian", "Ukrainian", "Bulgarian"), ("Cyrillic",)),
    **{language: (script,) for script, language in _OF_SCRIPT.items()},
    **{"Korean": ("Hangul", "Han"), "Japanese": ("Kana", "Han"), "Chinese": ("Han",)},
}
_LETTERS = {name: re.compile(f"[{ranges}]") for name, ranges in _SCRIPTS}
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_BEYOND_LATIN = re.compile("[\u0370-\uffff]")
_WORD = re.compile(r"[^\W\d_]+")
# What is written in no language: code in fences and back ticks, tags, addresses, names with signs in them.
_NO_LANGUAGE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]{1,200}`|<[^<>\n]{1,200}>|\w{0,80}[_/\\@:.=(){}\[\]]\S{1,200}", re.DOTALL
)
_MIXED = re.compile("[A-Za-z][\u0430-\u044f\u0451\u0456]{1,3}[A-Za-z]|[\u0430-\u044f][A-Za-z]{1,2}[\u0430-\u044f]")
_LONGEST = 2000
_LEAST_LETTERS = 12
_LEAST_WORDS = 8
_LEAST_HITS = 3
_LEAST_SHARE = 0.15
# Danish shares its words with Swedish, Spanish with Portuguese: the best must be this much better than the next.
_LEAD = 1.25
_BY_WORD: dict[str, list[str]] = {}
for _language, _list in _WORDS.items():
    for _word in set(_list.split()):
        _BY_WORD.setdefault(_word, []).append(_language)


def text_language(text: str) -> str | None:
    """The name of the language, or None where the text is too short, is code, or does not say clearly.

    At most the first 2,000 characters are looked at. Where Latin script has no words of a known language, None.
    """
    text = text[:_LONGEST]
    script = "Latin"
    if _BEYOND_LATIN.search(text):
        counts = {name: len(pattern.findall(text)) for name, pattern in _LETTERS.items()}
        # One character of Han or Hangul says as much as two or three letters.
        weighed = {name: count * (2 if name in ("Hangul", "Kana", "Han") else 1) for name, count in counts.items()}
        weighed["Latin"] = len(_LATIN.findall(_NO_LANGUAGE.sub(" ", text)))
        east_asian = weighed["Kana"] + weighed["Han"]
        script = max(weighed, key=lambda name: weighed[name])
        if east_asian > weighed[script]:
            script = "Han"
        if script != "Latin" and max(weighed[script], east_asian if script in ("Han", "Kana") else 0) < _LEAST_LETTERS:
            return None
        if script in ("Han", "Kana"):
            return "Japanese" if counts["Kana"] * 10 > counts["Han"] else "Chinese"
        if script in _OF_SCRIPT:
            return _OF_SCRIPT[script]
    return _by_words(text, script)


def foreign_script(text: str, language: str) -> str | None:
    """The script that most letters of a text are in, where that is not one that the language is written in.

    None for texts of few letters, and for Latin letters, which stand in texts of any language.
    """
    text = text[:_LONGEST]
    if not _BEYOND_LATIN.search(text):
        return None
    counts = {name: len(pattern.findall(text)) for name, pattern in _LETTERS.items()}
    script = max(counts, key=lambda name: counts[name])
    own = script in _SCRIPTS_OF.get(language, ("Latin",))
    enough = counts[script] >= _LEAST_LETTERS and counts[script] * 2 > len(_LATIN.findall(text))
    return script if enough and not own else None


def mixed_alphabets(text: str) -> str | None:
    """A piece of a word that mixes Latin and Cyrillic letters, which look alike; None where there is none."""
    if not _LETTERS["Cyrillic"].search(text):
        return None
    found = _MIXED.search(text)
    return None if found is None else found.group()


def _by_words(text: str, script: str) -> str | None:
    words = [word.lower() for word in _WORD.findall(_NO_LANGUAGE.sub(" ", text))]
    if len(words) < _LEAST_WORDS:
        return None
    hits: Counter[str] = Counter()
    for word in words:
        languages = _BY_WORD.get(word, ())
        for language in languages:
            hits[language] += 1
    ranked = hits.most_common(2)
    if not ranked:
        return None
    language, count = ranked[0]
    cyrillic = language in ("Russian", "Ukrainian", "Bulgarian")
    if cyrillic != (script == "Cyrillic"):
        return None
    distinct = len({word for word in words if language in _BY_WORD.get(word, ())})
    if count < _LEAST_HITS or distinct < _LEAST_HITS or count < _LEAST_SHARE * len(words):
        return None
    if len(ranked) > 1 and count < _LEAD * ranked[1][1]:
        return None
    return language
