//! Events from the daemon.

use api::wire;

use super::{GetEventsError, Writer, request};
use crate::args::{Connection, GetEvents};
use crate::client::{Client, block_on, interruption};
use crate::print::notice;

/// Prints events until the stream ends or the user interrupts, which both are a good end; with `--reconnect` only the
/// user ends it.
pub(super) fn print(
    connection: &Connection,
    options: &GetEvents,
    writer: &mut Writer,
) -> Result<(), GetEventsError> {
    let client = Client::new(connection)?;
    let request = request::request(options);
    block_on(async {
        tokio::select! {
            result = print_all(&client, &request, connection.debug, options, writer) => Ok(result),
            interrupted = interruption() => interrupted.map(|_| Ok(())),
        }
    })??;
    Ok(writer.flush()?)
}

async fn print_all(
    client: &Client,
    request: &wire::GetEventsRequest,
    debug: bool,
    options: &GetEvents,
    writer: &mut Writer,
) -> Result<(), GetEventsError> {
    loop {
        let ended = print_stream(client, request, debug, writer).await;
        if !options.reconnect {
            return ended;
        }
        match ended {
            Err(GetEventsError::Call(error)) => announce(&error.to_string(), options),
            Ok(()) => announce("the stream ended", options),
            other => return other,
        }
        tokio::time::sleep(options.reconnect_wait).await;
    }
}

fn announce(error: &str, options: &GetEvents) {
    notice(&format!("getevents: err:{error} retrying in {:?}", options.reconnect_wait));
}

/// Prints one stream to its end.
async fn print_stream(
    client: &Client,
    request: &wire::GetEventsRequest,
    debug: bool,
    writer: &mut Writer,
) -> Result<(), GetEventsError> {
    let mut stream = client.events(request).await?;
    loop {
        match stream.message().await {
            Ok(Some(message)) => match api::convert::from_wire(message) {
                Ok(event) => {
                    writer.write(&event)?;
                    writer.flush()?;
                }
                Err(error) if debug => notice(&format!("getevents: event passed over: {error}")),
                Err(_unknown) => {}
            },
            Ok(None) => return Ok(()),
            Err(status) if status.code() == tonic::Code::Cancelled => return Ok(()),
            Err(status) => return Err(client.stream_error(&status).into()),
        }
    }
}
