//! Many policies on one hook, and long lists.

use bpf_probes::abi::Counter;

use crate::acts::{cat, file_open, secret};
use crate::running::{Running, resolve, traceable_kernel};

#[test]
fn root_fifty_policies_on_one_hook_load_and_all_act() {
    let Some(kernel) = traceable_kernel() else { return };
    let (_dir, file) = secret("secret-0");
    let mut policies = Vec::new();
    for number in 0..50 {
        let secret = file.with_file_name(format!("secret-{number}-"));
        std::fs::write(&secret, "secret\n").unwrap();
        let operator = ["Prefix", "Equal", "Postfix"][number % 3];
        let action = ["[{action: Sigkill}]", "[{action: Override, argError: -2}]", "[{action: Post}]"];
        let value = secret.to_str().unwrap();
        let text = file_open(&format!("p{number}"), operator, &[value], action[number % 2]);
        policies.push(resolve(&text, &kernel));
    }
    let mut running = Running::start(&policies, &kernel);
    eprintln!("verified: {:?}", running.verified);
    for (role, verified) in &running.verified {
        assert!(*verified < 100_000, "{role:?}: {verified}");
    }
    for number in 0..50 {
        let result = cat(&file.with_file_name(format!("secret-{number}-")));
        assert!(!result.status.success(), "policy {number} did not act");
        assert_eq!(result.stdout, b"");
        let reports = running.reports();
        let layouts: Vec<_> = reports.iter().map(|report| report.record.layout).collect();
        assert_eq!(layouts, [100 + u32::try_from(number).unwrap()]);
        let counter = [Counter::Signal, Counter::Override][number % 2];
        assert_eq!(running.count(number, 0, counter), 1);
    }
    assert_eq!(cat(&file).stdout, b"secret\n");
}

#[test]
fn root_ten_thousand_values_of_each_form_load_and_match() {
    let Some(kernel) = traceable_kernel() else { return };
    let (_dir, file) = secret("wanted");
    for (operator, wanted) in [("Prefix", "/wan"), ("Equal", "/wanted"), ("Postfix", "/wanted")] {
        let parent = file.parent().unwrap().to_str().unwrap();
        let mut values: Vec<String> = (0..10_000).map(|n| format!("{parent}/no/{n}")).collect();
        values.push(format!("{parent}{wanted}"));
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let text = file_open("list", operator, &values, "[{action: Post}]");
        let mut running = Running::start(&[resolve(&text, &kernel)], &kernel);
        assert_eq!(cat(&file).stdout, b"secret\n");
        assert_eq!(running.reports().len(), 1, "{operator}");
        eprintln!("{operator}: verified {:?}", running.verified);
    }
}
