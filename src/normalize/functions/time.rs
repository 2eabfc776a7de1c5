//! Civil dates.
use super::{Context, argument, is_text, misuse, refuse, texts};
use arrow::{
    array::{Array, ArrayRef, AsArray, Date32Array},
    datatypes::{DataType, TimeUnit, TimestampMicrosecondType},
};
use chrono::{DateTime, Datelike, NaiveDate};
use chrono_tz::Tz;
use datafusion::common::Result;
use std::sync::Arc;

pub(super) fn local_date_type(arguments: &[DataType]) -> Result<DataType> {
    match arguments {
        [DataType::Timestamp(TimeUnit::Microsecond, None) | DataType::Null, zone] if is_text(zone) => {
            Ok(DataType::Date32)
        }
        _ => misuse(format!("takes (timestamp, text), not {arguments:?}")),
    }
}

/// The civil date of a UTC timestamp in a zone.
pub(super) fn local_date(context: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let times = argument(arguments, 0)?;
    if times.data_type() == &DataType::Null {
        return Ok(Arc::new(Date32Array::new_null(context.rows)));
    }
    let zones = texts(arguments, 1)?;
    let epoch = NaiveDate::default().num_days_from_ce();
    let mut last: Option<(&str, Tz)> = None;
    let mut out = Vec::with_capacity(context.rows);
    for (time, zone) in times.as_primitive::<TimestampMicrosecondType>().iter().zip(zones.iter()) {
        let (Some(time), Some(zone)) = (time, zone) else {
            out.push(None);
            continue;
        };
        let tz = match last {
            Some((name, tz)) if name == zone => tz,
            _ => match zone.parse::<Tz>() {
                Ok(tz) => tz,
                Err(_) => return refuse(format!("`{zone}` is not a time zone")),
            },
        };
        last = Some((zone, tz));
        let Some(utc) = DateTime::from_timestamp_micros(time) else {
            return refuse(format!("{time} is not a time"));
        };
        out.push(Some(utc.with_timezone(&tz).date_naive().num_days_from_ce() - epoch));
    }
    Ok(Arc::new(Date32Array::from(out)))
}
