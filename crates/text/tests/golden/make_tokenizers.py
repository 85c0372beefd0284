"""Trains three tiny tokenizers and records their ids for tests/tokenizers.rs.

    pip install tokenizers==0.23.3
    python make_tokenizers.py

`bytes` is put together as Qwen's and Llama 3's are (byte alphabet, a pattern that looks ahead),
`spaces` as Llama 2's and Gemma's (U+2581, byte tokens), `words` as BERT's.
"""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

HERE = Path(__file__).parent

CORPUS = [
    "The quick brown fox jumps over the lazy dog, and the dog doesn't mind; it's 12:30 on 3 May 2024.",
    "def main(argument):\n    if argument is None:\n        return 42\n    print('hello, world')\n",
    "for (int i = 0; i < 1000; ++i) { sum += values[i] * weights[i]; }  // the sum of products",
    "Größe, naïve façade, élève; Привет, мир! Γειά σου Κόσμε. 你好，世界。こんにちは世界 안녕하세요",
    "We'll see what they've made of the hundred thousand tokens that the model has been given.",
    "https://example.org/path?query=1#fragment user@example.org {\"key\": [1, 2.5, null, true]}",
] * 4

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def tiny_bytes():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens(["<|begin|>", "<|end|>"])
    tokenizer.add_tokens(
        [
            AddedToken("<tool>", lstrip=True, rstrip=True, normalized=False),
            AddedToken("word", single_word=True, normalized=False),
        ]
    )
    begin = tokenizer.token_to_id("<|begin|>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin|> $A", special_tokens=[("<|begin|>", begin)]
    )
    return tokenizer


def tiny_spaces():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)],
        show_progress=False,
        limit_alphabet=60,
        max_token_length=12,
    )
    tokenizer.train_from_iterator([line.replace("\n", " ") for line in CORPUS], trainer)
    # Byte tokens are trained as special ones so that they get their place; they are none.
    value = json.loads(tokenizer.to_str())
    value["added_tokens"] = [
        token for token in value["added_tokens"] if not token["content"].startswith("<0x")
    ]
    tokenizer = Tokenizer.from_str(json.dumps(value))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return tokenizer


def tiny_words():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=500, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


TEXTS = [
    "",
    "a",
    " ",
    "  ",
    "\n\n  \n x",
    "\t\ttabs\r\n\r\nand lines \n",
    "The quick brown fox doesn't mind, DOESN'T it?",
    "   indented\n        more   ",
    "1 12 123 1234567 3.14 ½ ⅷ ٣٤",
    "naïve e\u0301 cafe\u0301 ﬁ Å İstanbul ΑΒΓ Привет",
    "你好，世界 こんにちは 안녕하세요 ไทย",
    "🦙 👩‍👩‍👧‍👦 ☃️ \u200b\ufeff\u0000\u0001",
    "<|begin|>user<|end|> <s> </s> [CLS] [MASK] <unk> <0x0A>",
    "say <tool> now<tool>then  <tool>",
    "word words sword word. _word (word)",
    "▁▁ a▁b",
    "def main(argument):\n    return {'a': [1, 2]}  # comment\n\n\n",
    "https://example.org/path?query=1#fragment",
    "....!!!???---___***~~~",
    "x" * 150,
    "'s 'S 'll 'ſ we'd",
    "\u3000\u3000wide \u00a0\u00a0nbsp \u2028line\u2029para \u0085nel",
    "a\u0301\u0302\u0303 \u0301 ก็ नमस्ते",
]

golden = {}
for name, tokenizer in (("bytes", tiny_bytes()), ("spaces", tiny_spaces()), ("words", tiny_words())):
    (HERE / f"{name}.json").write_text(tokenizer.to_str() + "\n")
    golden[name] = [
        {
            "text": text,
            "ids": tokenizer.encode(text, add_special_tokens=False).ids,
            "framed": tokenizer.encode(text).ids,
            "decoded": tokenizer.decode(
                tokenizer.encode(text, add_special_tokens=False).ids, skip_special_tokens=False
            ),
        }
        for text in TEXTS
    ]
(HERE / "tokenizers.json").write_text(json.dumps(golden, ensure_ascii=False, indent=0) + "\n")
