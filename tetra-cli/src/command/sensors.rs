//! `tetra sensors`: calls that daemons of today refuse; here for scripts that still make them, and to be told so.
#![expect(deprecated, reason = "that is what this is for")]

use api::wire::{
    DisableSensorRequest, EnableSensorRequest, ListSensorsRequest, ListSensorsResponse, RemoveSensorRequest,
};

use super::answer::{self, AnswerError};
use crate::args::{Connection, Sensors};
use crate::print::Table;
use crate::print::escape;

/// Does what `command` says.
pub(crate) fn run(connection: &Connection, command: &Sensors) -> Result<(), AnswerError> {
    let nothing = |()| Ok(String::new());
    match command {
        Sensors::List => answer::print(
            connection,
            "list sensors",
            |client| client.call(async |mut service| service.list_sensors(ListSensorsRequest {}).await),
            |list| Ok(render(&list)),
        ),
        Sensors::Enable { name } => answer::print(
            connection,
            "enable the sensor",
            |client| {
                let request = EnableSensorRequest { name: name.clone() };
                client.call(async |mut service| service.enable_sensor(request.clone()).await).map(drop)
            },
            nothing,
        ),
        Sensors::Disable { name } => answer::print(
            connection,
            "disable the sensor",
            |client| {
                let request = DisableSensorRequest { name: name.clone() };
                client.call(async |mut service| service.disable_sensor(request.clone()).await).map(drop)
            },
            nothing,
        ),
        Sensors::Rm { name } => answer::print(
            connection,
            "remove the sensor",
            |client| {
                let request = RemoveSensorRequest { name: name.clone() };
                client.call(async |mut service| service.remove_sensor(request.clone()).await).map(drop)
            },
            nothing,
        ),
    }
}

fn render(list: &ListSensorsResponse) -> String {
    let mut table = Table::default();
    table.row(["NAME", "ENABLED", "COLLECTION"]);
    for sensor in &list.sensors {
        let name = escape::word(&sensor.name).into_owned();
        table.row([name, sensor.enabled.to_string(), escape::word(&sensor.collection).into_owned()]);
    }
    table.render()
}
