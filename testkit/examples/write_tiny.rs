//! Writes every tiny model, as a checkpoint and as GGUF, into a folder: for trying the binary or
//! another implementation on them.

fn main() {
    let out = std::path::PathBuf::from(std::env::args().nth(1).expect("folder"));
    for name in rushlight_testkit::tiny::names() {
        let case = rushlight_testkit::tiny::case(&name);
        let folder = out.join(&name);
        std::fs::create_dir_all(&folder).expect("folder");
        rushlight_testkit::tiny::write_hf(&case, &folder);
        rushlight_testkit::tiny::write_gguf(&case, &out.join(format!("{name}.gguf")));
    }
}
