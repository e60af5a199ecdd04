//! Values of arguments: what is typed becomes what is meant, or a word of what would be right.

use lockstep_model::{ServiceName, Version};
use std::time::Duration;

pub(super) fn assignment(text: &str) -> Result<(ServiceName, Version), String> {
    let (service, version) = text.split_once('=').ok_or("write SERVICE=VERSION, as backend=1.2.0")?;
    let service = service.parse().map_err(|error: lockstep_model::scalar::InvalidText| error.to_string())?;
    let version = version.parse().map_err(|error: lockstep_model::scalar::InvalidText| error.to_string())?;
    Ok((service, version))
}

pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, as ticket=OPS-12")?;
    if name.is_empty() {
        return Err("the name is empty".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| "write a number and a unit, as 90s, 10m, 1h".to_owned())?;
    let seconds = match unit {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(format!("'{unit}' is no unit; use s, m, h or d")),
    };
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

/// Bytes, at least 1 MiB.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 =
        number.parse().map_err(|_| "write a number and a unit, as 500MiB or 2GiB".to_owned())?;
    let bytes: u64 = match unit {
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(format!("'{unit}' is no unit; use MiB or GiB")),
    };
    Some(number.saturating_mul(bytes)).filter(|size| *size > 0).ok_or_else(|| "use at least 1MiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_number_and_a_unit() {
        assert_eq!(size("500MiB"), Ok(500 << 20));
        assert_eq!(size("2GiB"), Ok(2 << 30));
        for wrong in ["0MiB", "12", "5MB", "much", "-1GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7_200)));
        assert!(duration("soon").is_err());
        assert_eq!(duration("5d"), Ok(Duration::from_secs(432_000)));
        assert!(duration("5y").is_err());
    }
}
