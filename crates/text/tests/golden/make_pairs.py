"""Records how tokenizers puts two texts together for tests/tokenizers.rs.

    pip install tokenizers==0.23.3
    python make_pairs.py

The vocabulary is that of words.json; each post-processor is tried with it.
"""

import json
from pathlib import Path

from tokenizers import Tokenizer

HERE = Path(__file__).parent


def special(name, segment):
    return {"SpecialToken": {"id": name, "type_id": segment}}


def text(name, segment):
    return {"Sequence": {"id": name, "type_id": segment}}


BERT = {
    "type": "TemplateProcessing",
    "single": [special("[CLS]", 0), text("A", 0), special("[SEP]", 0)],
    "pair": [
        special("[CLS]", 0),
        text("A", 0),
        special("[SEP]", 0),
        text("B", 1),
        special("[SEP]", 1),
    ],
    "special_tokens": {
        name: {"id": name, "ids": [id], "tokens": [name]} for name, id in (("[CLS]", 2), ("[SEP]", 3))
    },
}
# The second text first, and a segment that is neither 0 nor 1.
TURNED = BERT | {"pair": [text("B", 3), special("[SEP]", 0), text("A", 1)]}
ROBERTA = {
    "type": "RobertaProcessing",
    "sep": ["[SEP]", 3],
    "cls": ["[CLS]", 2],
    "trim_offsets": True,
    "add_prefix_space": False,
}
PROCESSORS = {
    "template": BERT,
    "turned": TURNED,
    "bert": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
    "roberta": ROBERTA,
    "sequence": {"type": "Sequence", "processors": [BERT]},
    "none": None,
}
PAIRS = [
    ("what is it?", "The quick brown fox."),
    ("", "Größe [SEP] naïve"),
    ("你好 world", ""),
    ("a", "b c d"),
]

golden = []
for name, processor in PROCESSORS.items():
    file = json.loads((HERE / "words.json").read_text())
    file["post_processor"] = processor
    tokenizer = Tokenizer.from_str(json.dumps(file))
    for first, second in PAIRS:
        bare = tokenizer.encode(first, second, add_special_tokens=False)
        framed = tokenizer.encode(first, second)
        golden.append(
            {
                "name": name,
                "processor": processor,
                "first": first,
                "second": second,
                "ids": framed.ids,
                "segments": framed.type_ids,
                "bare": bare.ids,
            }
        )
(HERE / "pairs.json").write_text(json.dumps(golden, ensure_ascii=False, indent=0) + "\n")
