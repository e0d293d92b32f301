//! Many threads at once: what is denied stays denied, what is not is not touched.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bpf_probes::abi::Counter;

use crate::acts::{file_open, secret};
use crate::running::{Running, resolve, traceable_kernel};

#[test]
fn root_under_contention_no_denied_open_succeeds_and_no_other_fails() {
    let Some(kernel) = traceable_kernel() else { return };
    let (_dir, file) = secret("denied");
    let other = file.with_file_name("other");
    std::fs::write(&other, "public").unwrap();
    let value = file.to_str().unwrap();
    let text = file_open("deny", "Prefix", &[value], "[{action: Override, argError: -13}, {action: NoPost}]");
    let running = Running::start(&[resolve(&text, &kernel)], &kernel);
    let (over, denied, opened) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let wrong = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..24 {
            let (over, denied, opened, wrong) = (&over, &denied, &opened, &wrong);
            let (file, other) = (&file, &other);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    if thread % 2 == 0 {
                        match std::fs::File::open(file) {
                            Err(error) if error.raw_os_error() == Some(13) => {
                                denied.fetch_add(1, Ordering::Relaxed)
                            }
                            _ => wrong.fetch_add(1, Ordering::Relaxed),
                        };
                    } else {
                        match std::fs::File::open(other) {
                            Ok(_) => opened.fetch_add(1, Ordering::Relaxed),
                            Err(_) => wrong.fetch_add(1, Ordering::Relaxed),
                        };
                    }
                }
            });
        }
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(100));
        }
        over.store(true, Ordering::Relaxed);
    });
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    eprintln!("{} denied, {} opened, {} wrong", count(&denied), count(&opened), count(&wrong));
    assert_eq!(count(&wrong), 0);
    assert!(count(&denied) > 0 && count(&opened) > 0);
    assert_eq!(running.count(0, 0, Counter::Override), count(&denied), "a kprobe saw every attempt");
}
