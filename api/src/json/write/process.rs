//! Processes: the part that is rendered once, and the parts an event adds.

use super::credentials::{capabilities, credentials, namespaces};
use super::object::Object;
use super::scalar;
use crate::event::{BinaryProperties, Container, Pod, Process, ProcessRef};

/// The JSON fields of a process, with the places where an event puts its own in between.
#[derive(Debug)]
pub(crate) struct ProcessJson {
    text: Box<[u8]>,
    /// Where `refcnt`, `tid` and `binary_properties` go, ascending offsets into `text`.
    splits: [usize; 3],
}

impl ProcessJson {
    /// Renders `process`.
    pub(crate) fn render(process: &Process) -> Self {
        let mut text = Vec::with_capacity(512);
        let mut splits = [0; 3];
        // The fields only: the object is never ended.
        identity(process, &mut Object::begin(&mut text));
        splits[0] = text.len();
        let mut object = Object::begin(&mut text);
        object.message("cap", process.cap.as_ref(), capabilities);
        object.message("ns", process.ns.as_ref(), namespaces);
        splits[1] = text.len();
        let mut object = Object::begin(&mut text);
        object.message("process_credentials", process.credentials.as_deref(), credentials);
        splits[2] = text.len();
        let mut object = Object::begin(&mut text);
        object.message("user", process.user.as_deref(), |name, object| object.string("name", name));
        object.optional_bool("in_init_tree", process.in_init_tree);
        object.messages("environment_variables", process.environment.iter(), |variable, object| {
            object.string("Key", &variable.key);
            object.string("Value", &variable.value);
        });
        Self { text: text.into_boxed_slice(), splits }
    }
}

fn identity(process: &Process, object: &mut Object<'_>) {
    object.string("exec_id", &process.exec_id);
    object.optional_u32("pid", process.pid);
    object.optional_u32("uid", process.uid);
    object.string("cwd", &process.cwd);
    object.string("binary", &process.binary);
    object.string("arguments", &process.arguments);
    let mut words = process.flags.words().peekable();
    if words.peek().is_some() {
        scalar::string(object.field("flags"), &process.flags.to_string());
    }
    object.time("start_time", process.start_time);
    object.optional_u32("auid", process.auid);
    object.message("pod", process.pod.as_deref(), pod);
    object.string("docker", &process.docker);
    object.string("parent_exec_id", &process.parent_exec_id);
}

fn pod(pod: &Pod, object: &mut Object<'_>) {
    object.string("namespace", &pod.namespace);
    object.string("name", &pod.name);
    object.string("uid", &pod.uid);
    object.message("container", pod.container.as_ref(), container);
    object.map("pod_labels", pod.labels.iter());
    object.string("workload", &pod.workload);
    object.string("workload_kind", &pod.workload_kind);
    object.map("pod_annotations", pod.annotations.iter());
}

fn container(container: &Container, object: &mut Object<'_>) {
    object.string("id", &container.id);
    object.string("name", &container.name);
    object.message("image", container.image.as_ref(), |image, object| {
        object.string("id", &image.id);
        object.string("name", &image.name);
    });
    object.time("start_time", container.start_time);
    object.optional_u32("pid", container.pid);
    object.bool("maybe_exec_probe", container.maybe_exec_probe);
    object.message("security_context", container.privileged, |privileged, object| {
        object.bool("privileged", privileged);
    });
}

/// A process as an event refers to it.
pub(super) fn process(process: &ProcessRef, object: &mut Object<'_>) {
    process_with(process, None, object);
}

/// The same with what an exec adds.
pub(super) fn process_with(process: &ProcessRef, binary: Option<&BinaryProperties>, object: &mut Object<'_>) {
    let ProcessJson { text, splits: [refcnt, tid, properties] } = process.process.json();
    object.ready(&text[..*refcnt]);
    object.u32("refcnt", process.refcnt);
    object.ready(&text[*refcnt..*tid]);
    object.optional_u32("tid", process.tid);
    object.ready(&text[*tid..*properties]);
    object.message("binary_properties", binary, binary_properties);
    object.ready(&text[*properties..]);
}

fn binary_properties(binary: &BinaryProperties, object: &mut Object<'_>) {
    object.optional_u32("setuid", binary.setuid);
    object.optional_u32("setgid", binary.setgid);
    object.strings("privileges_changed", binary.privileges_changed.names());
    object.message("file", binary.file.as_ref(), |file, object| {
        object.message("inode", file.inode, |inode, object| {
            object.u64("number", inode.number);
            object.optional_u32("links", inode.links);
        });
        object.string("path", &file.path);
    });
}
