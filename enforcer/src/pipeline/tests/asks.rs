//! Requests that records ask for.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::TcpListener;

use bpf_probes::abi::{Action, hook_flag};
use tracing_policy::policy::{Request, Url};

use super::super::config::Config;
use super::records::{Bench, INIT, config, hook_of, returned_of};
use crate::requests::Requests;

// proves: ACT-09 (after the event)
#[test]
fn a_record_asks_for_what_its_selector_says() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::new(&format!("http://{}/", server.local_addr().unwrap())).unwrap();
    let requests = Requests::start("127.0.0.1:9".parse().unwrap()).unwrap();
    let config = Config { requests: Some(requests), ..config() };
    let mut bench = Bench::asking(&config, vec![vec![Request::Get(url)]]);
    bench.one(hook_of(1, INIT, 5, Action::Post, b"/x"));
    bench.one(hook_of(20, INIT, 5, Action::GetUrl, b"/x"));
    server.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    assert!(server.accept().is_err(), "one request, of the hook that asks");
}

// proves: ACT-12 (GetUrl, DnsLookup), ACT-09 (at the return)
#[test]
fn a_return_asks_for_what_its_selector_says_unless_it_is_dismissed() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::new(&format!("http://{}/", server.local_addr().unwrap())).unwrap();
    let requests = Requests::start("127.0.0.1:9".parse().unwrap()).unwrap();
    let config = Config { requests: Some(requests), ..config() };
    let mut bench = Bench::asking(&config, vec![vec![Request::Get(url)]]);
    for (entered, flags) in [(5, hook_flag::DISMISSED), (6, 0)] {
        bench.take(&[hook_of(21, INIT, entered, Action::Post, b"/x")]);
        bench.take(&[returned_of(21, INIT, entered, (Action::GetUrl, flags), 0)]);
    }
    server.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    assert!(server.accept().is_err(), "one request, of the return that is reported");
}
