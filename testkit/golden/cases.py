"""The golden cases: one tiny configuration per architecture, as published checkpoints write it.

A case is a `config.json` in the style of the real checkpoint (old `rope_theta`/`rope_scaling`
keys, except where a newer one is the point), small enough to run in a millisecond, with numbers
chosen so that a wrong reading shows: head widths that differ from width / heads, windows shorter
than the text, scaling ranges that cut through the frequencies, an epsilon that is not negligible.
"""

VOCAB = 288

COMMON = {
    "vocab_size": VOCAB,
    "bos_token_id": 256,
    "eos_token_id": 257,
    "pad_token_id": 257,
    "torch_dtype": "float32",
}


def decoder(model_type, architecture, **keys):
    """The keys that most decoders share; `keys` override them, `None` stays in the file."""
    config = {
        "architectures": [architecture],
        "model_type": model_type,
        "hidden_act": "silu",
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-2,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        **COMMON,
        **keys,
    }
    return {key: value for key, value in config.items() if value is not ABSENT}


ABSENT = object()
"""Marks a shared key that a family's `config.json` does not have."""


def llama(**keys):
    return decoder("llama", "LlamaForCausalLM", **keys)


def gemma(model_type, architecture, **keys):
    return decoder(
        model_type,
        architecture,
        hidden_act=ABSENT,
        hidden_activation="gelu_pytorch_tanh",
        head_dim=32,
        sliding_window=8,
        tie_word_embeddings=ABSENT,
        **keys,
    )


def phi3(**keys):
    return decoder(
        "phi3",
        "Phi3ForCausalLM",
        max_position_embeddings=2048,
        sliding_window=None,
        **keys,
    )


def factors(count, first, last):
    """`count` frequency divisors from `first` to `last`, in quarters so that they print short."""
    step = (last - first) / (count - 1)
    return [round(4 * (first + step * index)) / 4 for index in range(count)]


def longrope(count):
    return {
        "type": "longrope",
        "short_factor": factors(count, 1.0, 2.0),
        "long_factor": factors(count, 1.5, 20.0),
    }


class Case:
    """One golden case.

    `gguf` holds the changes to the configuration under which transformers computes what a GGUF
    file of the same model means, where the format cannot say all that `config.json` says.
    `states` asks for the hidden states of a decoder too.
    """

    def __init__(self, name, config, gguf=None, embedder=False, states=False):
        self.name, self.config, self.gguf, self.embedder = name, config, gguf, embedder
        self.states = states


CASES = [
    # Every query head has its own key head, as in Llama 2 7B.
    Case("llama2", llama(num_key_value_heads=4)),
    # Three regimes of the llama3 scaling, a tied head, and heads wider than width / heads.
    Case(
        "llama3_2",
        llama(
            head_dim=32,
            rope_theta=500000.0,
            rope_scaling={
                "factor": 8.0,
                "high_freq_factor": 4.0,
                "low_freq_factor": 1.0,
                "original_max_position_embeddings": 64,
                "rope_type": "llama3",
            },
            tie_word_embeddings=True,
        ),
    ),
    # Three query heads to a key head, tied.
    Case(
        "smollm2",
        llama(
            hidden_size=96,
            num_attention_heads=6,
            rope_theta=100000.0,
            tie_word_embeddings=True,
        ),
    ),
    Case("llama_linear", llama(rope_scaling={"type": "linear", "factor": 4.0})),
    # The newer way to write it: everything under `rope_parameters`.
    Case(
        "llama_yarn",
        llama(
            head_dim=32,
            rope_theta=ABSENT,
            rope_parameters={
                "rope_type": "yarn",
                "rope_theta": 10000.0,
                "factor": 4.0,
                "original_max_position_embeddings": 512,
            },
            max_position_embeddings=2048,
        ),
    ),
    # GGUF files do not carry Mistral's window.
    Case(
        "mistral",
        decoder("mistral", "MistralForCausalLM", sliding_window=8),
        gguf={"sliding_window": None},
    ),
    Case(
        "mixtral",
        decoder(
            "mixtral",
            "MixtralForCausalLM",
            num_local_experts=4,
            num_experts_per_tok=2,
            sliding_window=None,
            rope_theta=1000000.0,
        ),
    ),
    Case(
        "qwen2",
        decoder(
            "qwen2",
            "Qwen2ForCausalLM",
            rope_theta=1000000.0,
            sliding_window=8,
            use_sliding_window=False,
            max_window_layers=1,
            tie_word_embeddings=True,
        ),
    ),
    Case(
        "qwen2_yarn",
        decoder(
            "qwen2",
            "Qwen2ForCausalLM",
            hidden_size=128,
            rope_scaling={
                "factor": 4.0,
                "original_max_position_embeddings": 512,
                "type": "yarn",
            },
        ),
    ),
    Case(
        "qwen3",
        decoder(
            "qwen3",
            "Qwen3ForCausalLM",
            head_dim=32,
            attention_bias=False,
            rope_theta=1000000.0,
            tie_word_embeddings=True,
        ),
        states=True,
    ),
    Case(
        "qwen3_moe",
        decoder(
            "qwen3_moe",
            "Qwen3MoeForCausalLM",
            head_dim=32,
            attention_bias=False,
            rope_theta=1000000.0,
            decoder_sparse_step=1,
            mlp_only_layers=[],
            moe_intermediate_size=32,
            norm_topk_prob=True,
            num_experts=8,
            num_experts_per_tok=3,
        ),
    ),
    # A query scale that is not that of the head's width; a GGUF file cannot say so.
    Case(
        "gemma2",
        gemma(
            "gemma2",
            "Gemma2ForCausalLM",
            attn_logit_softcapping=5.0,
            final_logit_softcapping=8.0,
            query_pre_attn_scalar=24,
            num_hidden_layers=4,
        ),
        gguf={"query_pre_attn_scalar": 32},
    ),
    # Six local layers to a global one would hide the wrap: seven layers show it.
    Case(
        "gemma3",
        gemma(
            "gemma3_text",
            "Gemma3ForCausalLM",
            query_pre_attn_scalar=32,
            num_hidden_layers=7,
            rope_theta=1000000.0,
            rope_local_base_freq=10000.0,
            sliding_window_pattern=6,
        ),
    ),
    # From 4B up: the global layers alone are stretched.
    Case(
        "gemma3_linear",
        gemma(
            "gemma3_text",
            "Gemma3ForCausalLM",
            query_pre_attn_scalar=32,
            num_hidden_layers=7,
            rope_theta=1000000.0,
            rope_local_base_freq=10000.0,
            rope_scaling={"factor": 8.0, "rope_type": "linear"},
        ),
    ),
    # The text stays inside the original context: short factors.
    Case(
        "phi3_short",
        phi3(
            num_key_value_heads=4,
            original_max_position_embeddings=512,
            rope_scaling=longrope(8),
        ),
    ),
    # The text runs beyond it: long factors.
    Case(
        "phi3_long",
        phi3(
            num_key_value_heads=4,
            original_max_position_embeddings=16,
            rope_scaling=longrope(8),
        ),
    ),
    # Three quarters of each head turn.
    Case(
        "phi4_mini",
        phi3(
            hidden_size=96,
            num_attention_heads=3,
            num_key_value_heads=1,
            original_max_position_embeddings=16,
            partial_rotary_factor=0.75,
            rope_scaling=longrope(12),
            tie_word_embeddings=True,
        ),
    ),
    Case(
        "smollm3",
        decoder(
            "smollm3",
            "SmolLM3ForCausalLM",
            num_hidden_layers=5,
            no_rope_layer_interval=4,
            no_rope_layers=[1, 1, 1, 0, 1],
            rope_theta=2000000.0,
            tie_word_embeddings=True,
        ),
    ),
    Case("olmo2", decoder("olmo2", "Olmo2ForCausalLM", rope_theta=500000.0)),
    Case(
        "granite",
        decoder(
            "granite",
            "GraniteForCausalLM",
            attention_multiplier=0.4,
            embedding_multiplier=6.0,
            logits_scaling=3.0,
            residual_multiplier=0.35,
            tie_word_embeddings=True,
        ),
    ),
    Case(
        "gpt2",
        {
            "architectures": ["GPT2LMHeadModel"],
            "model_type": "gpt2",
            "activation_function": "gelu_new",
            "layer_norm_epsilon": 1e-2,
            "n_ctx": 64,
            "n_embd": 64,
            "n_head": 4,
            "n_layer": 3,
            "n_positions": 64,
            **COMMON,
        },
    ),
    Case(
        "starcoder2",
        decoder(
            "starcoder2",
            "Starcoder2ForCausalLM",
            hidden_act="gelu_pytorch_tanh",
            mlp_type="default",
            norm_epsilon=1e-2,
            norm_type="layer_norm",
            rms_norm_eps=ABSENT,
            sliding_window=8,
            tie_word_embeddings=ABSENT,
            use_bias=True,
        ),
        gguf={"sliding_window": None},
    ),
    Case(
        "minilm",
        {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_act": "gelu",
            "hidden_size": 64,
            "intermediate_size": 96,
            "layer_norm_eps": 1e-2,
            "max_position_embeddings": 64,
            "num_attention_heads": 4,
            "num_hidden_layers": 3,
            "pad_token_id": 0,
            "position_embedding_type": "absolute",
            "type_vocab_size": 2,
            "vocab_size": VOCAB,
            "torch_dtype": "float32",
        },
        embedder=True,
    ),
    # A cross-encoder: a pooler and one label.
    Case(
        "reranker",
        {
            "architectures": ["BertForSequenceClassification"],
            "model_type": "bert",
            "hidden_act": "gelu",
            "hidden_size": 64,
            "id2label": {"0": "LABEL_0"},
            "intermediate_size": 96,
            "label2id": {"LABEL_0": 0},
            "layer_norm_eps": 1e-2,
            "max_position_embeddings": 64,
            "num_attention_heads": 4,
            "num_hidden_layers": 2,
            "pad_token_id": 0,
            "position_embedding_type": "absolute",
            "type_vocab_size": 2,
            "vocab_size": VOCAB,
            "torch_dtype": "float32",
        },
        embedder=True,
    ),
]
