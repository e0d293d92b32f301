//! Filters on sockets, packets and socket addresses.

use std::net::IpAddr;

use bpf_probes::kernel::NetworkNames;

use super::filter::{mismatch, no_values, string};
use super::value;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{
    Argument, ArgumentFilter, ArgumentId, Bytes, End, Integer, IntegerRange, Network, NetworkField,
    NetworkTest, NetworkType, Sense,
};
use crate::schema::{ArgumentMatch, Operator, Word};

/// Operators of a `struct sockaddr`, which has one end only.
const OF_ADDRESS: &str = "SAddr, NotSAddr, SPort, NotSPort, SPortPriv, NotSportPriv, Family";
/// Operators of a `struct sockaddr_un`.
const OF_UNIX_ADDRESS: &str = "Family, Equal, NotEqual, Prefix, NotPrefix, SubString, SubStringIgnCase";
/// Operators of sockets and packets.
const OF_ALL: &str = "SAddr, NotSAddr, DAddr, NotDAddr, SPort, NotSPort, DPort, NotDPort, SPortPriv, NotSportPriv, \
                      DPortPriv, NotDPortPriv, Protocol, Family, State";
/// The first port that any user may take.
const FIRST_FREE_PORT: i128 = 1024;

/// What an operator asks of something of the network.
#[derive(Clone, Copy)]
enum Question {
    Address(End, Sense),
    Port(End, Sense),
    Privileged(End, Sense),
    Named(NetworkField, NetworkNames, &'static str),
}

/// A filter on something of the network.
pub(super) fn test(
    written: &ArgumentMatch,
    ty: NetworkType,
    argument: &Argument,
    report: &mut Report,
) -> Option<NetworkTest> {
    let operator = &written.operator;
    let known = if ty == NetworkType::Sockaddr { OF_ADDRESS } else { OF_ALL };
    let Some(question) = question(operator.value).filter(|question| answers(ty, question)) else {
        mismatch(operator, argument, known, report);
        return None;
    };
    if operator.value == Operator::State && ty == NetworkType::Skb {
        let message = "a packet has no state";
        report.push(Diagnostic::warning(Code::NeverMatches, operator.span, message));
    }
    ask(question, written, report)
}

/// A filter on a `struct sockaddr_un`: on its path, or on its family.
pub(super) fn unix_address(
    written: ArgumentMatch,
    id: ArgumentId,
    argument: &Argument,
    report: &mut Report,
) -> Option<ArgumentFilter> {
    let span = written.span;
    if written.operator.value == Operator::Family {
        let families = Question::Named(NetworkField::Family, NetworkNames::FAMILIES, "address family");
        let test = ask(families, &written, report)?;
        return Some(ArgumentFilter::Network { argument: id, test, span });
    }
    if matches!(written.operator.value, Operator::Postfix | Operator::NotPostfix) {
        mismatch(&written.operator, argument, OF_UNIX_ADDRESS, report);
        return None;
    }
    let test = string(&written.operator, written.values, span, argument, value::strings, report)?;
    Some(ArgumentFilter::String { argument: id, test, span })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "comes_later names every operator, so that a new one breaks the build there"
)]
fn question(operator: Operator) -> Option<Question> {
    Some(match operator {
        Operator::SAddr => Question::Address(End::Source, Sense::Plain),
        Operator::NotSAddr => Question::Address(End::Source, Sense::Negated),
        Operator::DAddr => Question::Address(End::Destination, Sense::Plain),
        Operator::NotDAddr => Question::Address(End::Destination, Sense::Negated),
        Operator::SPort => Question::Port(End::Source, Sense::Plain),
        Operator::NotSPort => Question::Port(End::Source, Sense::Negated),
        Operator::DPort => Question::Port(End::Destination, Sense::Plain),
        Operator::NotDPort => Question::Port(End::Destination, Sense::Negated),
        Operator::SPortPriv => Question::Privileged(End::Source, Sense::Plain),
        Operator::NotSPortPriv => Question::Privileged(End::Source, Sense::Negated),
        Operator::DPortPriv => Question::Privileged(End::Destination, Sense::Plain),
        Operator::NotDPortPriv => Question::Privileged(End::Destination, Sense::Negated),
        Operator::Protocol => {
            Question::Named(NetworkField::Protocol, NetworkNames::PROTOCOLS, "protocol, such as IPPROTO_TCP,")
        }
        Operator::Family => {
            Question::Named(NetworkField::Family, NetworkNames::FAMILIES, "address family, such as AF_INET,")
        }
        Operator::State => {
            Question::Named(NetworkField::State, NetworkNames::STATES, "state, such as TCP_LISTEN,")
        }
        _ => return None,
    })
}

/// Whether a type has what is asked of. Packets take `State` and never match it.
fn answers(ty: NetworkType, question: &Question) -> bool {
    match ty {
        NetworkType::Sock | NetworkType::Socket | NetworkType::Skb => true,
        NetworkType::Sockaddr => matches!(
            question,
            Question::Address(End::Source, _)
                | Question::Port(End::Source, _)
                | Question::Privileged(End::Source, _)
                | Question::Named(NetworkField::Family, ..)
        ),
    }
}

fn ask(question: Question, written: &ArgumentMatch, report: &mut Report) -> Option<NetworkTest> {
    let values = &written.values;
    if let Question::Privileged(end, sense) = question {
        if let Some(first) = values.first() {
            let message = format!("{} takes no values", written.operator.value.as_word());
            report.push(Diagnostic::warning(Code::UselessParameter, first.span, message));
        }
        let range = IntegerRange { min: Integer::new(0), max: Integer::new(FIRST_FREE_PORT - 1) };
        return Some(NetworkTest::Number { field: NetworkField::Port(end), sense, ranges: vec![range] });
    }
    if values.is_empty() {
        no_values(written.span, report);
        return None;
    }
    match question {
        Question::Address(end, sense) => {
            let networks = value::all(values, network, report)?;
            Some(NetworkTest::Address { end, sense, networks })
        }
        Question::Port(end, sense) => {
            let ranges = value::all(values, |it| range(it, None, "port, such as 443 or 8000:8999,"), report)?;
            Some(NetworkTest::Number { field: NetworkField::Port(end), sense, ranges })
        }
        Question::Named(field, names, what) => {
            let ranges = value::all(values, |it| range(it, Some(names), what), report)?;
            Some(NetworkTest::Number { field, sense: Sense::Plain, ranges })
        }
        Question::Privileged(..) => None,
    }
}

/// An address, or an address and how many of its bits count.
fn network(value: &Bytes) -> Result<Network, Diagnostic> {
    let bad = |message: &str| {
        Diagnostic::error(Code::BadNumber, value.span, message.to_owned())
            .help("for example 192.168.1.1, 10.0.0.0/8, 2001:db8::1 or fe80::/10")
    };
    let text = std::str::from_utf8(&value.value).map_err(|_not_text| bad("this is not an IP address"))?;
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_bad| bad("this is not an IP address"))?;
    let bits = match bits {
        None if address.is_ipv4() => 32,
        None => 128,
        Some(bits) => {
            let plain =
                bits.bytes().all(|byte| byte.is_ascii_digit()) && (bits == "0" || !bits.starts_with('0'));
            bits.parse().ok().filter(|_| plain).ok_or_else(|| bad("this is not a number of bits"))?
        }
    };
    Network::new(address, bits).ok_or_else(|| bad("an address has fewer bits than that"))
}

/// A name, a number or a range of numbers.
fn range(value: &Bytes, names: Option<NetworkNames>, what: &str) -> Result<IntegerRange, Diagnostic> {
    let text = std::str::from_utf8(&value.value).unwrap_or_default();
    let range = |min, max| IntegerRange { min: Integer::new(min), max: Integer::new(max) };
    if let Some(number) = names.and_then(|names| names.number(text)) {
        return Ok(range(number.into(), number.into()));
    }
    let number = |text: &str| {
        value::base_zero(text).filter(|number| (0..=i128::from(u16::MAX)).contains(number)).ok_or_else(|| {
            Diagnostic::error(
                Code::BadNumber,
                value.span,
                format!("this is no {what} nor a number up to 65535"),
            )
        })
    };
    let Some((min, max)) = text.split_once(':') else {
        let number = number(text)?;
        return Ok(range(number, number));
    };
    let (min, max) = (number(min)?, number(max)?);
    if min > max {
        let message = "the range is empty: its end is before its start".to_owned();
        return Err(Diagnostic::error(Code::BadRange, value.span, message));
    }
    Ok(range(min, max))
}
