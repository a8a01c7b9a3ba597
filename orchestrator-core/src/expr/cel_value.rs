//! JSON as CEL sees it, and back.

use cel::common::{
    types::{
        CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelOptional, CelString,
        CelUInt,
    },
    value::Val,
};
use serde_json::{Map, Number, Value};
use std::collections::{BTreeMap, HashMap};

/// How many bytes of a text count as one value.
pub(super) const TEXT_UNIT: usize = 16;

/// The parts of a value that an expression looks at.
#[derive(Debug, Default)]
pub(super) struct Needed<'e> {
    /// Whether it looks at the value itself.
    whole: bool,
    fields: BTreeMap<&'e str, Needed<'e>>,
}

impl<'e> Needed<'e> {
    /// Adds the part that a path leads to.
    pub(super) fn add(&mut self, path: &[&'e str]) {
        match path {
            [] => self.whole = true,
            [step, rest @ ..] => self.fields.entry(step).or_default().add(rest),
        }
    }

    /// What it looks at of each variable.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&'e str, &Needed<'e>)> {
        self.fields.iter().map(|(name, needed)| (*name, needed))
    }
}

/// The needed parts of `value` for CEL: whole numbers are `int`, so that `x > 3` compares like with
/// like. Texts are borrowed. Nothing when more than `left` values would be seen.
pub(super) fn to_cel<'v>(
    value: &'v Value,
    needed: &Needed<'_>,
    left: &mut u64,
) -> Option<Box<dyn Val + 'v>> {
    *left = left.checked_sub(1)?;
    Some(match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(flag) => Box::new(CelBool::from(*flag)),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Box::new(CelInt::from(whole)),
            None => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(text) => {
            *left = left.checked_sub((text.len() / TEXT_UNIT) as u64)?;
            Box::new(CelString::from(text.as_str()))
        }
        Value::Array(items) => {
            // Counted before room is made for them.
            if *left < items.len() as u64 {
                return None;
            }
            let whole = Needed { whole: true, fields: BTreeMap::new() };
            let items = items.iter().map(|item| to_cel(item, &whole, left));
            Box::new(CelList::from(items.collect::<Option<Vec<_>>>()?))
        }
        Value::Object(map) => {
            let mut entries = HashMap::new();
            let mut insert = |key: &'v str, value: &'v Value, needed: &Needed<'_>| {
                let value = to_cel(value, needed, left)?;
                entries.insert(CelMapKey::String(CelString::from(key)), value);
                Some(())
            };
            if needed.whole {
                map.iter().try_for_each(|(key, value)| insert(key, value, needed))?;
            } else {
                for (key, needed) in &needed.fields {
                    if let Some((key, value)) = map.get_key_value(*key) {
                        insert(key, value, needed)?;
                    }
                }
            }
            Box::new(CelMap::from(entries))
        }
    })
}

/// What CEL gives as JSON.
///
/// # Errors
/// What it is that JSON cannot hold.
pub(super) fn to_json(value: &dyn Val) -> Result<Value, &'static str> {
    if let Some(list) = value.downcast_ref::<CelList>() {
        return list.inner().iter().map(|item| to_json(item.as_ref())).collect();
    }
    if let Some(map) = value.downcast_ref::<CelMap>() {
        // In the order of the keys: the map itself has another one each time.
        let mut entries = BTreeMap::new();
        for (key, value) in map.inner() {
            let key = match key {
                CelMapKey::String(text) => text.inner().to_owned(),
                CelMapKey::Int(whole) => whole.inner().to_string(),
                CelMapKey::UInt(whole) => whole.inner().to_string(),
                CelMapKey::Bool(flag) => flag.inner().to_string(),
            };
            entries.insert(key, to_json(value.as_ref())?);
        }
        return Ok(Value::Object(entries.into_iter().collect::<Map<_, _>>()));
    }
    if let Some(optional) = value.downcast_ref::<CelOptional>() {
        return optional.inner().map_or(Ok(Value::Null), to_json);
    }
    if let Some(text) = value.downcast_ref::<CelString>() {
        return Ok(text.inner().into());
    }
    if let Some(flag) = value.downcast_ref::<CelBool>() {
        return Ok((*flag.inner()).into());
    }
    if let Some(whole) = value.downcast_ref::<CelInt>() {
        return Ok((*whole.inner()).into());
    }
    if let Some(whole) = value.downcast_ref::<CelUInt>() {
        return Ok((*whole.inner()).into());
    }
    if let Some(number) = value.downcast_ref::<CelDouble>() {
        return Number::from_f64(*number.inner())
            .map(Value::Number)
            .ok_or("a number that is not finite");
    }
    if value.downcast_ref::<CelNull>().is_some() {
        return Ok(Value::Null);
    }
    Err(named(value))
}

/// What kind of value it is, for messages.
pub(super) fn named(value: &dyn Val) -> &'static str {
    match value.get_type().name() {
        "bool" => "true or false",
        "int" | "uint" | "double" => "a number",
        "string" => "text",
        "list" => "a list",
        "map" => "a mapping",
        "null_type" => "nothing",
        "bytes" => "bytes",
        "type" => "a type",
        _ => "something else",
    }
}

/// How many steps it takes to copy or compare `value`: counted down from `left`; nothing when that
/// does not suffice.
pub(super) fn weigh(value: &dyn Val, left: u64) -> Option<u64> {
    let mut left = left.checked_sub(1)?;
    if let Some(list) = value.downcast_ref::<CelList>() {
        for item in list.inner() {
            left = weigh(item.as_ref(), left)?;
        }
    } else if let Some(map) = value.downcast_ref::<CelMap>() {
        for (key, value) in map.inner() {
            let key = match key {
                CelMapKey::String(text) => text.inner().len() / TEXT_UNIT,
                CelMapKey::Bool(_) | CelMapKey::Int(_) | CelMapKey::UInt(_) => 0,
            };
            left = weigh(value.as_ref(), left)?.checked_sub(1 + key as u64)?;
        }
    } else if let Some(text) = value.downcast_ref::<CelString>() {
        left = left.checked_sub((text.inner().len() / TEXT_UNIT) as u64)?;
    } else if let Some(optional) = value.downcast_ref::<CelOptional>()
        && let Some(inner) = optional.inner()
    {
        left = weigh(inner, left)?;
    } else if let Some(bytes) = value.downcast_ref::<cel::common::types::CelBytes>() {
        left = left.checked_sub((bytes.inner().len() / TEXT_UNIT) as u64)?;
    }
    Some(left)
}
