//! Stacks of events, named from what runs on the machine.

use super::instance::{Instance, wait_until};
use super::policies::add;

// proves: ACT-14 (functions of programs, natively), ENR-15
#[test]
fn root_frames_of_a_program_have_their_file_offset_and_function() {
    let instance = Instance::start(&[]);
    let pid = std::process::id();
    let policy = format!(
        "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: stacks}}
spec:
  kprobes:
  - call: sys_getcwd
    selectors:
    - matchPIDs:
      - {{operator: In, values: [{pid}]}}
      matchActions:
      - {{action: Post, kernelStackTrace: true, userStackTrace: true}}
"
    );
    add(&instance, policy).unwrap();
    let frame = |event: &serde_json::Value, stack: &str| event["process_kprobe"][stack][0].clone();
    // the file may be read too slowly for the first event
    wait_until("the function of the C library is named", || {
        std::env::current_dir().unwrap();
        instance.events().iter().any(|event| {
            let user = frame(event, "user_stack_trace");
            let module = user["module"].as_str().unwrap_or_default();
            user["symbol"].as_str().is_some_and(|symbol| symbol.contains("getcwd"))
                && module.contains("libc")
                && user["offset"].is_string()
        })
    });
    let events = instance.events();
    let mut kernel = events.iter().map(|event| frame(event, "kernel_stack_trace"));
    assert!(kernel.any(|frame| frame["symbol"].is_string()), "{events:?}");
}
