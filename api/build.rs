//! Compiles the `.proto` files with a compiler written in Rust, so that no `protoc` is needed.

use std::error::Error;
use std::path::PathBuf;

const INCLUDE: [&str; 1] = ["proto"];
const PROTO_FILES: [&str; 6] = [
    "tetragon/bpf.proto",
    "tetragon/capabilities.proto",
    "tetragon/tetragon.proto",
    "tetragon/events.proto",
    "tetragon/sensors.proto",
    "tetragon/eventlogservice.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // What the JSON reader knows messages by: without comments, which only the generated code carries.
    let descriptors = protox::Compiler::new(INCLUDE)?
        .include_imports(true)
        .include_source_info(false)
        .open_files(PROTO_FILES)?
        .encode_file_descriptor_set();
    std::fs::write(out.join("descriptors.bin"), descriptors)?;
    let files = protox::compile(PROTO_FILES, INCLUDE)?;
    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        .build_transport(false)
        .build_server(false)
        .compile_fds_with_config(files.clone(), config)?;
    // The server's side has the same messages, but streams events that are encoded already.
    let server = out.join("server");
    std::fs::create_dir_all(&server)?;
    tonic_prost_build::configure()
        .build_transport(false)
        .build_client(false)
        .extern_path(".tetragon", "crate::wire")
        .extern_path(".tetragon.GetEventsResponse", "crate::convert::EncodedEvent")
        .out_dir(server)
        .compile_fds(files)?;
    Ok(())
}
