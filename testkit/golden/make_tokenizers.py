"""Writes the two tokenizers that the tiny models share: `tokenizer_bytes` and `tokenizer_words`.

Both have `cases.VOCAB` tokens. The first is GPT-2's byte-level BPE with its first merges, so that
any text has ids; the second is WordPiece in the style of BERT, filled up with unused tokens.
"""

import json
import pathlib

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers.convert_slow_tokenizer import bytes_to_unicode

import cases

HERE = pathlib.Path(__file__).parent

# The first merges of GPT-2's own list.
MERGES = (
    "Ġ t,Ġ a,h e,i n,r e,o n,Ġt he,e r,Ġ s,a t,Ġ w,Ġ o,e n,Ġ c,i t,i s,a n,o r,e s,Ġ b,e d,Ġ f,"
    "in g,Ġ p,o u,Ġa n,a l,a r,Ġt o,Ġ m"
)


def byte_level():
    merges = [tuple(pair.split(" ")) for pair in MERGES.split(",")]
    vocabulary = {token: index for index, token in enumerate(bytes_to_unicode().values())}
    first = cases.COMMON["eos_token_id"] + 1
    vocabulary |= {"".join(pair): first + index for index, pair in enumerate(merges)}
    # The ids between the bytes and the merges: placed by hand, or they would come last.
    vocabulary |= {"<|begin|>": cases.COMMON["bos_token_id"], "<|end|>": cases.COMMON["eos_token_id"]}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in ("<|begin|>", "<|end|>")])
    config = {
        "bos_token": "<|begin|>",
        "eos_token": "<|end|>",
        "pad_token": "<|end|>",
        "tokenizer_class": "GPT2Tokenizer",
        "unk_token": "<|end|>",
    }
    return tokenizer, config


def words():
    characters = "abcdefghijklmnopqrstuvwxyz0123456789"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *".,!?'-", *characters]
    tokens += ["##" + character for character in characters]
    tokens += "the of and in to was he is as for that ##ing ##ed ##er".split()
    tokens += [f"[unused{index}]" for index in range(cases.VOCAB - len(tokens))]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in tokens[:5]])
    config = {
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
        "pad_token": "[PAD]",
        "sep_token": "[SEP]",
        "tokenizer_class": "BertTokenizer",
        "unk_token": "[UNK]",
    }
    return tokenizer, config


def main():
    for folder, (tokenizer, config) in [("tokenizer_bytes", byte_level()), ("tokenizer_words", words())]:
        assert tokenizer.get_vocab_size() == cases.VOCAB, tokenizer.get_vocab_size()
        (HERE / folder).mkdir(exist_ok=True)
        (HERE / folder / "tokenizer.json").write_text(tokenizer.to_str() + "\n")
        (HERE / folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


if __name__ == "__main__":
    main()
