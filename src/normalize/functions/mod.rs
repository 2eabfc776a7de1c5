//! The functions that mappings may use beyond plain SQL. Exact or an error; NULL in, NULL out.
//!
//! Documented for connector authors in `connectors/README.md`.
mod json;
mod list;
mod number;
mod time;

use crate::manifest::MinorUnits;
use arrow::{
    array::{ArrayRef, AsArray},
    datatypes::{DataType, Field},
};
use datafusion::{
    common::{DataFusionError, Result},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility},
};
use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

/// What a function answers for arguments of these types.
type TypeOf = fn(&[DataType]) -> Result<DataType>;
/// What a function does with arguments as arrays of equal length.
type Body = fn(&Context, &[ArrayRef]) -> Result<ArrayRef>;

/// What a body may know besides its arguments.
#[derive(Debug)]
struct Context {
    minor: MinorUnits,
    /// The type promised when the mapping was planned.
    returns: DataType,
    rows: usize,
}

struct Function {
    name: &'static str,
    signature: Signature,
    type_of: TypeOf,
    body: Body,
    minor: Arc<MinorUnits>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.minor == other.minor
    }
}
impl Eq for Function {}
impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        (self.type_of)(arguments).map_err(|e| e.context(format!("function `{}`", self.name)))
    }
    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let context = Context {
            minor: self.minor.as_ref().clone(),
            returns: call.return_field.data_type().clone(),
            rows: call.number_rows,
        };
        let arrays = call.args.iter().map(|v| v.to_array(call.number_rows)).collect::<Result<Vec<_>>>()?;
        (self.body)(&context, &arrays).map(ColumnarValue::Array)
    }
}

const TABLE: &[(&str, TypeOf, Body)] = &[
    ("minor", number::minor_type, number::minor),
    ("money", number::money_type, number::money),
    ("quantity", number::quantity_type, number::quantity),
    ("rate", number::rate_type, number::rate),
    ("add", number::sum_type, number::add),
    ("sub", number::sum_type, number::sub),
    ("local_date", time::local_date_type, time::local_date),
    ("indexed", list::indexed_type, list::indexed),
    ("list_len", list::len_type, list::len),
    ("list_sum", list::sum_type, list::sum),
    ("list_field", list::field_type, list::values),
    ("list_min", list::extreme_type, list::min),
    ("list_max", list::extreme_type, list::max),
    ("list_any", list::any_type, list::any),
    ("list_only", list::only_type, list::only),
    ("list_json", json::text_type, json::list_json),
    ("json_pick", json::text_type, json::pick),
    ("json_text", json::text_type, json::text),
    ("json_object", json::text_type, json::object),
    ("hash_id", json::text_type, json::hash_id),
];

/// Every function, with the connector's minor units.
pub(super) fn all(minor: &MinorUnits) -> Vec<ScalarUDF> {
    let minor = Arc::new(minor.clone());
    let make = |&(name, type_of, body): &(&'static str, TypeOf, Body)| {
        let signature = Signature::variadic_any(Volatility::Immutable);
        ScalarUDF::new_from_impl(Function { name, signature, type_of, body, minor: Arc::clone(&minor) })
    };
    TABLE.iter().map(make).collect()
}

/// Fails the value; the record that holds it is bisected out and rejected.
fn refuse<T>(message: impl Into<String>) -> Result<T> {
    Err(DataFusionError::Execution(message.into()))
}

/// Fails the plan.
fn misuse<T>(message: impl Into<String>) -> Result<T> {
    Err(DataFusionError::Plan(message.into()))
}

/// The argument at `i`; its absence was refused while planning.
fn argument(arguments: &[ArrayRef], i: usize) -> Result<&ArrayRef> {
    arguments.get(i).map_or_else(|| misuse(format!("argument {} is missing", i + 1)), Ok)
}

/// A text argument in one representation.
fn texts(arguments: &[ArrayRef], i: usize) -> Result<arrow::array::StringArray> {
    let utf8 = arrow::compute::cast(argument(arguments, i)?, &DataType::Utf8)?;
    Ok(utf8.as_string::<i32>().clone())
}

fn is_text(ty: &DataType) -> bool {
    matches!(ty, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Null)
}

fn element_field(ty: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", ty, true))
}
