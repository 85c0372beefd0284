//! Vectors and scores, in every dialect that has them.

use rushlight_model::Model;
use rushlight_server::ServedModel;
use rushlight_testkit::tiny::{self, case};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Reply, Running, load, until};

/// An embedder, a reranker and a model that writes.
const MODELS: [(&str, &str); 3] =
    [("embedder", "minilm"), ("reranker", "reranker"), ("writer", "qwen3")];

/// A server of all [`MODELS`], the embedder first.
fn start() -> (Running, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let models = MODELS.map(|(name, tiny)| {
        let file = dir.path().join(format!("{name}.gguf"));
        tiny::write_gguf(&case(tiny), &file);
        ServedModel::new(name, move || load(&file))
    });
    let server = Running::start_models(models.into(), |_| {});
    server.wait();
    (server, dir)
}

fn embeddings(server: &Running, body: Value) -> Reply {
    server.post("/v1/embeddings", &body)
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

/// The vectors of an answer of OpenAI's.
fn vectors(reply: &Reply) -> Vec<Vec<f32>> {
    assert_eq!(reply.status, 200, "{reply:?}");
    let value = reply.json();
    let data = value["data"].as_array().unwrap();
    for (i, one) in data.iter().enumerate() {
        assert_eq!((&one["index"], &one["object"]), (&json!(i), &json!("embedding")));
    }
    data.iter().map(|one| floats(&one["embedding"])).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// What base64 stands for; padding ends it.
fn unbase64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.bytes().filter(|byte| *byte != b'=');
    let digits: Vec<u32> =
        digits.map(|byte| alphabet.iter().position(|a| *a == byte).unwrap() as u32).collect();
    let group = |group: &[u32]| {
        let bits = group.iter().enumerate().fold(0, |bits, (i, d)| bits | d << (18 - 6 * i));
        (0..group.len() - 1).map(|i| (bits >> (16 - 8 * i)) as u8).collect::<Vec<_>>()
    };
    digits.chunks(4).flat_map(group).collect()
}

#[test]
fn texts_and_tokens_become_vectors_of_length_one() {
    let (server, dir) = start();
    let (tiny, path) = (case("minilm"), dir.path().join("embedder.gguf"));
    // The mean over all positions, as transformers has it.
    let found = embeddings(&server, json!({ "input": tiny.ids, "model": "embedder" }));
    let value = found.json();
    assert_eq!((&value["object"], &value["model"]), (&json!("list"), &json!("embedder")));
    assert_eq!(value["usage"], json!({ "prompt_tokens": 40, "total_tokens": 40 }));
    let [vector] = &vectors(&found)[..] else { panic!("{found:?}") };
    let pooled = tiny.pooled.clone().unwrap();
    assert!((dot(vector, vector) - 1.0).abs() < 1e-5);
    assert!(dot(vector, &pooled) / dot(&pooled, &pooled).sqrt() > 0.9999);

    // Texts have the tokens that the model puts around them; the first model is meant.
    let model = Model::open(&path).unwrap();
    let options = rushlight_text::EncodeOptions { special: true, parse_special: false };
    let texts = ["a b c", "", "größer 你好 [SEP]"];
    let tokens: Vec<Vec<u32>> =
        texts.iter().map(|t| model.tokenizer().unwrap().encode(t, options).unwrap()).collect();
    assert!(tokens[1].len() == 2 && !tokens[2][1..].starts_with(&[3]));
    let by_text = embeddings(&server, json!({ "input": texts, "user": "me" }));
    let by_token = embeddings(&server, json!({ "input": tokens, "encoding_format": "float" }));
    let count: usize = tokens.iter().map(Vec::len).sum();
    assert_eq!(by_text.json()["usage"]["total_tokens"], count);
    assert_eq!(vectors(&by_text), vectors(&by_token));
    let one = vectors(&embeddings(&server, json!({ "input": texts[0] })));
    assert!(dot(&one[0], &vectors(&by_text)[0]) > 0.99999);

    let packed = embeddings(&server, json!({ "input": texts, "encoding_format": "base64" })).json();
    for (i, vector) in vectors(&by_text).iter().enumerate() {
        let bytes = unbase64(packed["data"][i]["embedding"].as_str().unwrap());
        let packed: Vec<f32> =
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(&packed, vector);
    }

    // Fewer dimensions are the first ones, at length 1.
    let short = vectors(&embeddings(&server, json!({ "input": texts, "dimensions": 5 })));
    for (short, long) in short.iter().zip(vectors(&by_text)) {
        assert!((dot(short, short) - 1.0).abs() < 1e-5 && short.len() == 5);
        let long = &long[..5];
        assert!(dot(short, long) / dot(long, long).sqrt() > 0.99999);
    }
    assert_eq!(server.metric("rushlight_embeddings_total{model=\"embedder\"}"), 14.0);
    let tokens = (40 + count * 4 + tokens[0].len()) as f64;
    assert_eq!(server.metric("rushlight_embedding_tokens_total{model=\"embedder\"}"), tokens);
    // An answer is there a moment before its request is no longer counted.
    until("no request runs", || {
        server.metric("rushlight_num_requests_running{model=\"embedder\"}") == 0.0
    });

    // A model that writes embeds too: by its last token, unless it says otherwise.
    let qwen = case("qwen3");
    let body = json!({ "input": qwen.ids, "model": "writer" });
    let last = qwen.states.unwrap().pop().unwrap();
    let found = vectors(&embeddings(&server, body));
    assert!(dot(&found[0], &last) / dot(&last, &last).sqrt() > 0.999);
}

#[test]
fn what_cannot_be_embedded_is_named() {
    let (server, _dir) = start();
    let cases = [
        (json!({}), "400 input missing_parameter"),
        (json!({ "input": [] }), "400 input invalid_value"),
        (json!({ "input": 3 }), "400 input invalid_value"),
        (json!({ "input": ["a", 3] }), "400 input invalid_value"),
        (json!({ "input": [3, "a"] }), "400 input[1] invalid_value"),
        (json!({ "input": [288] }), "400 input[0] invalid_value"),
        (json!({ "input": [[]] }), "400 input invalid_value"),
        (json!({ "input": vec![1; 65] }), "400 input context_length_exceeded"),
        (json!({ "input": vec!["a"; 2049] }), "400 input invalid_value"),
        (json!({ "input": vec![vec![1; 64]; 2048], "model": "none" }), "404 model model_not_found"),
        (json!({ "input": "a", "dimensions": 65 }), "400 dimensions invalid_value"),
        (json!({ "input": "a", "dimensions": 0 }), "400 dimensions invalid_value"),
        (json!({ "input": "a", "encoding_format": "hex" }), "400 encoding_format invalid_value"),
        (json!({ "input": "a", "input_type": "query" }), "400 input_type unknown_parameter"),
        (json!({ "input": "a", "model": "reranker" }), "400 - unsupported_model"),
    ];
    let failures: Vec<String> = cases
        .into_iter()
        .map(|(body, want)| (embeddings(&server, body.clone()).error(), body, want))
        .filter(|(found, _, want)| found != want)
        .map(|(found, body, want)| format!("{body:.60}: {found}, expected {want}"))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn documents_are_ordered_by_a_reranker_and_by_an_embedder() {
    let (server, dir) = start();
    let documents = ["a b c", "d e", "x", "words and more words", "a b c"];
    let mixed = json!(["a b c", { "text": "d e" }, "x", { "text": documents[3] }, "a b c"]);
    let rerank = |path: &str, body: Value| {
        let reply = server.post(path, &body);
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    };
    let all =
        rerank("/v1/rerank", json!({ "model": "reranker", "query": "a b", "documents": mixed }));
    let results = all["results"].as_array().unwrap();
    let score = |result: &Value| result["relevance_score"].as_f64().unwrap();
    assert!(results.is_sorted_by(|a, b| score(a) >= score(b)), "{all}");
    assert!(results.iter().all(|r| (0.0..=1.0).contains(&score(r)) && r["document"].is_null()));
    let mut places: Vec<u64> = results.iter().map(|r| r["index"].as_u64().unwrap()).collect();
    // The two that are the same have the same score, and keep their order.
    let at = |index| places.iter().position(|place| *place == index).unwrap();
    assert_eq!(at(0) + 1, at(4), "{all}");
    places.sort_unstable();
    assert_eq!(places, [0, 1, 2, 3, 4]);
    let model = Model::open(&dir.path().join("reranker.gguf")).unwrap();
    let tokens: usize =
        documents.iter().map(|d| model.encode_pair("a b", d).unwrap().ids.len()).sum();
    assert_eq!(all["usage"]["total_tokens"], tokens);
    let pair = model.encode_pair("a", "b").unwrap();
    assert_eq!(pair.segments, [0, 0, 0, 1, 1]);

    let body = json!({
        "model": "reranker", "query": "a b", "documents": mixed, "top_n": 2,
        "return_documents": true,
    });
    let best = rerank("/rerank", body);
    let told = best["results"].as_array().unwrap();
    assert_eq!(told.len(), 2);
    for (told, result) in told.iter().zip(results) {
        assert_eq!(told["index"], result["index"]);
        let index = told["index"].as_u64().unwrap() as usize;
        assert_eq!(told["document"]["text"], documents[index]);
    }

    // Of an embedder the score is the cosine.
    let body = json!({ "model": "embedder", "query": "a b", "documents": documents });
    let found = rerank("/v1/rerank", body);
    let query = vectors(&embeddings(&server, json!({ "input": "a b" })));
    let vectors = vectors(&embeddings(&server, json!({ "input": documents })));
    for result in found["results"].as_array().unwrap() {
        let vector = &vectors[result["index"].as_u64().unwrap() as usize];
        let cosine = f64::from(dot(&query[0], vector));
        assert!((score(result) - cosine).abs() < 1e-3, "{result} {cosine}");
    }

    let good = json!({ "query": "a", "documents": ["b"] });
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let cases = [
        (with("model", json!("writer")), "400 - unsupported_model"),
        (with("query", Value::Null), "400 query missing_parameter"),
        (with("documents", Value::Null), "400 documents missing_parameter"),
        (with("documents", json!([])), "400 documents invalid_value"),
        (with("documents", json!([1])), "400 documents[0] invalid_value"),
        (with("documents", json!([{}])), "400 documents[0].text missing_parameter"),
        (with("documents", json!(["x ".repeat(70)])), "400 documents context_length_exceeded"),
        (with("top_n", json!(0)), "400 top_n invalid_value"),
        (with("max_tokens_per_doc", json!(9)), "400 max_tokens_per_doc unknown_parameter"),
    ];
    for (body, want) in cases {
        assert_eq!(server.post("/v1/rerank", &body).error(), want, "{body}");
    }
}

#[test]
fn ollama_embeds_and_cuts_what_is_too_long() {
    let (server, _dir) = start();
    let embed = |body: Value| server.post("/api/embed", &body);
    let one = embed(json!({ "model": "embedder", "input": "a b c" })).json();
    let same = vectors(&embeddings(&server, json!({ "input": "a b c" })));
    assert_eq!(floats(&one["embeddings"][0]), same[0]);
    assert_eq!((&one["model"], &one["prompt_eval_count"]), (&json!("embedder"), &json!(5)));
    assert!(one["total_duration"].as_u64() > one["load_duration"].as_u64(), "{one}");
    let body = json!({
        "model": "embedder:latest", "input": ["a b c", "d"], "dimensions": 3, "keep_alive": "5m",
        "options": { "num_ctx": 64, "temperature": 0 },
    });
    let two = embed(body).json();
    assert_eq!(two["model"], "embedder:latest");
    assert_eq!(two["embeddings"].as_array().map(Vec::len), Some(2));
    assert_eq!(floats(&two["embeddings"][1]).len(), 3);

    // 64 tokens are left: what stands around the text, and its beginning.
    let long = "x ".repeat(70);
    let cut = embed(json!({ "model": "embedder", "input": long })).json();
    assert_eq!(cut["prompt_eval_count"], 64);
    let same = vectors(&embeddings(&server, json!({ "input": "x ".repeat(62) })));
    assert!(dot(&floats(&cut["embeddings"][0]), &same[0]) > 0.99999);
    let whole = embed(json!({ "model": "embedder", "input": long, "truncate": false }));
    assert_eq!(whole.status, 400);
    let message = whole.json()["error"].as_str().unwrap().to_owned();
    assert!(message.contains("`72` tokens") && message.contains("`64`"), "{message}");

    for body in [json!({ "model": "embedder" }), json!({ "model": "embedder", "input": "" })] {
        let none = embed(body).json();
        assert_eq!(none["embeddings"], json!([]));
    }
    let old = server.post("/api/embeddings", &json!({ "model": "embedder", "prompt": "a b c" }));
    let raw = floats(&old.json()["embedding"]);
    let length = dot(&raw, &raw).sqrt();
    assert!((length - 1.0).abs() > 0.1, "{length}");
    assert!(dot(&raw, &floats(&one["embeddings"][0])) / length > 0.99999);
    let none = server.post("/api/embeddings", &json!({ "model": "embedder" })).json();
    assert_eq!(none, json!({ "embedding": [] }));
    for (body, word) in [
        (json!({ "model": "embedder", "input": 3 }), "`input` is `3`"),
        (json!({ "model": "embedder", "input": ["a", 3] }), "`input[1]` is `3`"),
        (json!({ "model": "embedder", "input": "a", "prompt": "b" }), "`prompt`"),
        (json!({ "model": "reranker", "input": "a" }), "`/v1/rerank`"),
        (json!({ "input": "a" }), "`model` is missing"),
    ] {
        let reply = embed(body.clone());
        assert_eq!(reply.status, 400, "{body}");
        assert!(reply.json()["error"].as_str().unwrap().contains(word), "{body}: {reply:?}");
    }
    let can = |name: &str| server.post("/api/show", &json!({ "model": name })).json();
    assert_eq!(can("embedder")["capabilities"], json!(["embedding"]));
    assert_eq!(can("reranker")["capabilities"], json!([]));
    assert_eq!(can("writer")["capabilities"][0], "completion");
}

#[test]
fn an_embedder_is_ready_and_writes_in_no_dialect() {
    let server = Running::start_tiny("minilm", |_| {});
    let health = server.get("/health").json();
    assert_eq!((&health["status"], server.get("/readyz").status), (&json!("ok"), 200), "{health}");
    let chat = json!([{ "role": "user", "content": "hi" }]);
    let message = "this model embeds texts, it does not write; ask `/v1/embeddings`";
    let requests = [
        ("/v1/chat/completions", json!({ "messages": chat })),
        ("/v1/completions", json!({ "prompt": "hi" })),
        ("/v1/messages", json!({ "model": "tiny", "max_tokens": 5, "messages": chat })),
        ("/api/chat", json!({ "model": "tiny", "messages": chat })),
        ("/api/generate", json!({ "model": "tiny", "prompt": "hi" })),
    ];
    for (path, body) in requests {
        let reply = server.post(path, &body);
        assert_eq!(reply.status, 400, "{path}: {reply:?}");
        let error = &reply.json()["error"];
        let found = error["message"].as_str().or(error.as_str());
        assert_eq!(found, Some(message), "{path}");
    }
}
