"""Short chat templates in the shapes that well-known model families use, and how each writes a chat."""

from __future__ import annotations

from chats import Family

__all__ = ["GEMMA_2", "GRANITE", "LLAMA_2", "OLMO", "PHI_4", "PHI_4_MINI", "QWEN_3", "SHAPES", "SMOLLM_3"]

_ALTERNATE = (
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('user and assistant must take turns') }}{% endif %}"
)

LLAMA_2 = Family(
    "llama 2",  # brackets that are no tokens, the system message in the first question
    "{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}"
    "{% set lead = '<<SYS>>\\n' + messages[0].content + '\\n<</SYS>>\\n\\n' %}"
    "{% else %}{% set rest = messages %}{% set lead = '' %}{% endif %}"
    f"{{% for m in rest %}}{_ALTERNATE}"
    "{% if m.role == 'user' %}{{ bos_token + '[INST] ' }}"
    "{{ ((lead if loop.first else '') + m.content).strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    ("<s>", "</s>", "<unk>"),
    eos="</s>",
    bos="<s>",
    style="words",
)
GEMMA_2 = Family(
    "gemma 2",  # no system messages; the assistant is called model
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('no system role, please') }}{% endif %}"
    f"{{% for m in messages %}}{_ALTERNATE}"
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}",
    ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
    eos="<eos>",
    bos="<bos>",
    end="<end_of_turn>",
)
QWEN_3 = Family(
    "qwen 3",  # thoughts are kept behind the last question alone; calls in tags; answers of tools in a user turn
    "{% if tools %}<|im_start|>system\n"
    "{{ messages[0].content + '\\n\\n' if messages[0].role == 'system' else '' }}"
    "Tools:\n<tools>{% for tool in tools %}\n{{ tool | tojson }}{% endfor %}\n</tools><|im_end|>\n"
    "{% elif messages[0].role == 'system' %}<|im_start|>system\n{{ messages[0].content }}<|im_end|>\n{% endif %}"
    "{% set seen = namespace(last=-1) %}{% for m in messages %}"
    "{% if m.role == 'user' and not m.content.startswith('<tool_response>') %}"
    "{% set seen.last = loop.index0 %}{% endif %}"
    "{% endfor %}"
    "{% for m in messages %}{% set text = m.content if m.content is string else '' %}"
    "{% if m.role == 'user' %}<|im_start|>user\n{{ text }}<|im_end|>\n"
    "{% elif m.role == 'assistant' %}{% set thought = '' %}{% if '</think>' in text %}"
    "{% set thought = text.split('</think>')[0].split('<think>')[-1].strip('\\n') %}"
    "{% set text = text.split('</think>')[-1].lstrip('\\n') %}{% endif %}"
    "<|im_start|>assistant\n"
    "{% if loop.index0 > seen.last and (loop.last or thought) %}<think>\n{{ thought }}\n</think>\n\n{% endif %}"
    "{{ text }}"
    "{% for call in m.tool_calls or [] %}{{ '\\n' if text or not loop.first else '' }}"
    '<tool_call>\n{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}'
    "\n</tool_call>"
    "{% endfor %}<|im_end|>\n"
    "{% elif m.role == 'tool' %}{% if messages[loop.index0 - 1].role != 'tool' %}<|im_start|>user{% endif %}\n"
    "<tool_response>\n{{ text }}\n</tool_response>"
    "{% if loop.last or messages[loop.index0 + 1].role != 'tool' %}<|im_end|>\n{% endif %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}",
    ("<|im_start|>", "<|im_end|>"),
    eos="<|im_end|>",
    plain=("<think>", "</think>", "<tool_call>", "</tool_call>"),
)
PHI_4 = Family(
    "phi 4",  # a token between the role and the text, and nothing between turns
    "{% for m in messages %}<|im_start|>{{ m.role }}<|im_sep|>{{ m.content }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant<|im_sep|>{% endif %}",
    ("<|im_start|>", "<|im_sep|>", "<|im_end|>", "<|endoftext|>"),
    eos="<|im_end|>",
)
PHI_4_MINI = Family(
    "phi 4 mini",  # roles that are tokens, tools within the system message, the end of the text behind the last turn
    "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content }}"
    "{% if m.role == 'system' and tools %}<|tool|>{{ tools | tojson }}<|/tool|>{% endif %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% else %}{{ eos_token }}{% endif %}",
    ("<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|/tool|>", "<|end|>", "<|endoftext|>"),
    eos="<|endoftext|>",
    end="<|end|>",
)
GRANITE = Family(
    "granite",  # a system message of its own, tools as a role, calls behind a token
    "{% if messages[0].role == 'system' %}{% set lead = messages[0].content %}{% set rest = messages[1:] %}"
    "{% else %}{% set lead = 'You help.' %}{% set rest = messages %}{% endif %}"
    "<|start_of_role|>system<|end_of_role|>{{ lead }}<|end_of_text|>\n"
    "{% if tools %}<|start_of_role|>available_tools<|end_of_role|>"
    "{{ tools | tojson(indent=4) }}<|end_of_text|>\n{% endif %}"
    "{% for m in rest %}<|start_of_role|>{{ 'tool_response' if m.role == 'tool' else m.role }}<|end_of_role|>"
    "{{ m.content or '' }}{% if m.tool_calls %}<|tool_call|>[{% for call in m.tool_calls %}"
    "{{ call.function | tojson }}{{ ', ' if not loop.last else '' }}{% endfor %}]"
    "{% endif %}<|end_of_text|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start_of_role|>assistant<|end_of_role|>{% endif %}",
    ("<|start_of_role|>", "<|end_of_role|>", "<|tool_call|>", "<|end_of_text|>"),
    eos="<|end_of_text|>",
)
SMOLLM_3 = Family(
    "smollm 3",  # a system message made up of parts, a switch in the user's, generation marks
    "{% set mode = '/no_think' if messages[0].role == 'system' and '/no_think' in messages[0].content else '/think' %}"
    "{% set own = messages[0].content.replace('/no_think', '').strip()"
    " if messages[0].role == 'system' else 'You help.' %}"
    "<|im_start|>system\n## Metadata\n\nReasoning Mode: {{ mode }}\n\n## Instructions\n\n{{ own }}"
    "{% if tools %}\n\n### Tools\n\n<tools>\n"
    "{% for tool in tools %}{{ tool.function | string }}\n{% endfor %}</tools>{% endif %}"
    "\n\n<|im_end|>\n"
    "{% for m in messages %}{% if m.role == 'user' %}<|im_start|>user\n{{ m.content }}<|im_end|>\n"
    "{% elif m.role == 'assistant' %}{% generation %}<|im_start|>assistant\n"
    "{{ ('<think>\\n\\n</think>\\n' if mode == '/no_think' else '') + "
    "m.content.lstrip('\\n') }}<|im_end|>\n{% endgeneration %}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{{ '<think>\\n\\n</think>\\n' if mode == '/no_think' else '' }}{% endif %}",
    ("<|im_start|>", "<|im_end|>"),
    eos="<|im_end|>",
    plain=("<think>", "</think>"),
)
OLMO = Family(
    "olmo",  # roles that are text; one token begins the row and ends the turns
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}"
    "{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}"
    "{{ '\\n' if not loop.last or m.role != 'assistant' else '' }}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}",
    ("<|endoftext|>",),
    eos="<|endoftext|>",
    bos="<|endoftext|>",
)
SHAPES = (LLAMA_2, GEMMA_2, QWEN_3, PHI_4, PHI_4_MINI, GRANITE, SMOLLM_3, OLMO)
