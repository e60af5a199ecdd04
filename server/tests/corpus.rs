//! Every file of the fuzzers' corpus, through the functions that are fuzzed: what was found once is not
//! found again, also where there is no fuzzer.

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::path::Path;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 5] = [
    ("manifest", targets::manifest),
    ("live_frame", targets::live_frame),
    ("agent_frame", targets::agent_frame),
    ("mask", targets::mask),
    ("webhook", targets::webhook),
];

#[test]
fn every_file_of_the_corpus_keeps_what_must_hold() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for (name, target) in TARGETS {
        let folder = fuzz.join("corpus").join(name);
        let files = std::fs::read_dir(&folder).expect("the corpus is there");
        let mut count = 0;
        for file in files {
            let path = file.expect("readable").path();
            // Its name stands in the output when it fails.
            println!("{}", path.display());
            target(&std::fs::read(&path).expect("readable"));
            count += 1;
        }
        assert!(count >= 6, "{name} has a corpus of {count} files");
        assert!(fuzz.join(format!("fuzz_targets/{name}.rs")).exists(), "{name} is fuzzed, too");
    }
}
