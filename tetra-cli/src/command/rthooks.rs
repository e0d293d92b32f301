//! `tetra rthooks`

use api::wire::{CreateContainer, RuntimeHookRequest, runtime_hook_request::Event};

use super::answer::{self, AnswerError};
use crate::args::{Connection, RuntimeHook};

/// Sends what `command` says; prints nothing where the daemon takes it.
pub(crate) fn run(connection: &Connection, command: &RuntimeHook) -> Result<(), AnswerError> {
    let RuntimeHook::CreateContainer { container_id, root_dir, annotations } = command;
    let pairs = annotations.iter().map(|text| {
        let pair = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        pair.ok_or_else(|| AnswerError::Form(format!("{text:?} is no annotation; give NAME=VALUE")))
    });
    let event = Event::CreateContainer(CreateContainer {
        container_id: container_id.clone(),
        root_dir: root_dir.clone(),
        annotations: pairs.collect::<Result<_, _>>()?,
        ..CreateContainer::default()
    });
    let request = RuntimeHookRequest { event: Some(event) };
    answer::print(
        connection,
        "send the hook",
        |client| client.call(async |mut service| service.runtime_hook(request.clone()).await),
        |_empty| Ok(String::new()),
    )
}
