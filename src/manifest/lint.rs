//! What a mapping may say, checked on its syntax tree: one SELECT over its own record, exact, repeatable.
//!
//! Whether fields exist and types fit is decided when the mapping is planned (`normalize`).
use crate::{
    entity::{Entity, PREFIX, SUFFIX},
    error::{Error, Result},
    yaml::{File, suggest},
};
use datafusion::sql::sqlparser::{
    ast::{
        BinaryOperator, CastKind, DataType, Expr, Function, FunctionArguments, GroupByExpr, Query, Select,
        SelectItem, SetExpr, SetOperator, SetQuantifier, Spanned, Statement, TableFactor, Value, Visit,
        Visitor,
    },
    dialect::GenericDialect,
    parser::Parser,
};
use std::{collections::BTreeSet, ops::ControlFlow};

/// All functions a mapping may call. The first 20 are ours (`normalize`), the others DataFusion's own.
pub const FUNCTIONS: [&str; 36] = [
    "minor",
    "money",
    "quantity",
    "rate",
    "add",
    "sub",
    "local_date",
    "indexed",
    "list_sum",
    "list_min",
    "list_max",
    "list_any",
    "list_len",
    "list_field",
    "list_only",
    "list_json",
    "json_pick",
    "json_text",
    "json_object",
    "hash_id",
    "array_to_string",
    "btrim",
    "chr",
    "coalesce",
    "concat",
    "concat_ws",
    "left",
    "lower",
    "nullif",
    "replace",
    "right",
    "split_part",
    "starts_with",
    "strpos",
    "unnest",
    "upper",
];

/// First column of every mapping: which record the row comes from.
pub(super) const ROW: &str = "_row";

/// Columns that the mapping fills: those that some SELECT of it gives as more than NULL.
/// Fails `Invalid` with file and line of the first thing a mapping from `stream` to `entity` must not say.
pub(super) fn lint(file: &File, stream: &str, entity: &Entity) -> Result<BTreeSet<String>> {
    let query = parse(file, "a mapping")?;
    let mut branches = Vec::new();
    selects(file, &query.body, &mut branches)?;
    let mut names: Option<Vec<String>> = None;
    let mut fills = BTreeSet::new();
    for select in branches {
        let own = columns(file, select, entity)?;
        let told = select.projection.iter().zip(&own).filter(|(item, _)| !is_null(item));
        fills.extend(told.map(|(_, name)| name.clone()));
        match &names {
            Some(first) if *first != own => {
                let what = "every SELECT of a `union all` must give the same columns in the same order";
                return Err(file.error(at(select), what));
            }
            _ => names = Some(own),
        }
    }
    match query.visit(&mut Rules { file, stream }) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(fills),
    }
}

fn is_null(item: &SelectItem) -> bool {
    let expr = match item {
        SelectItem::ExprWithAlias { expr, .. } | SelectItem::UnnamedExpr(expr) => expr,
        _ => return false,
    };
    matches!(expr, Expr::Value(value) if value.value == Value::Null)
}

/// The only statement of the file; `what` is how messages call it.
pub(super) fn parse(file: &File, what: &str) -> Result<Query> {
    let statements =
        Parser::parse_sql(&GenericDialect {}, &file.text).map_err(|e| syntax(file, &e.to_string()))?;
    let one = format!("{what} is exactly one SELECT");
    match <[Statement; 1]>::try_from(statements) {
        Ok([Statement::Query(query)]) => Ok(*query),
        Ok([other]) => Err(file.error(at(&other).max(1), one)),
        Err(all) => Err(file.error(all.get(1).map_or(1, at), one)),
    }
}

/// The parser ends its sentence with ` at Line: 3, Column: 8`.
fn syntax(file: &File, message: &str) -> Error {
    let text = message.trim_start_matches("sql parser error: ");
    let (what, place) = text.rsplit_once(" at Line: ").unwrap_or((text, ""));
    let line = place.split(',').next().and_then(|l| l.trim().parse().ok()).unwrap_or(0);
    file.error(line, format!("this is not SQL: {what}"))
}

pub(super) fn at(node: &impl Spanned) -> u64 {
    node.span().start.line
}

fn selects<'q>(file: &File, body: &'q SetExpr, out: &mut Vec<&'q Select>) -> Result<()> {
    match body {
        SetExpr::Select(select) => out.push(select),
        SetExpr::Query(query) => selects(file, &query.body, out)?,
        SetExpr::SetOperation { op: SetOperator::Union, set_quantifier: SetQuantifier::All, left, right } => {
            selects(file, left, out)?;
            selects(file, right, out)?;
        }
        other => return Err(file.error(at(other), "only SELECT and `union all` are allowed here")),
    }
    Ok(())
}

/// Names of the projection, checked against the entity.
fn columns(file: &File, select: &Select, entity: &Entity) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for item in &select.projection {
        let name = match item {
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => &name.value,
            SelectItem::ExprWithAlias { alias, .. } => &alias.value,
            _ => {
                let what = "every column must be a plain field or have a name: `.. as column`";
                return Err(file.error(at(item), what));
            }
        };
        if names.is_empty() && name != ROW {
            return Err(file.error(at(item), format!("the first column must be `{ROW}`, not `{name}`")));
        }
        if !names.is_empty() {
            check_column(file, at(item), name, entity)?;
        }
        if names.contains(name) {
            return Err(file.error(at(item), format!("column `{name}` is given twice")));
        }
        names.push(name.clone());
    }
    let parent = entity.parent.as_ref().map(|p| p.column.as_str());
    for required in ["id"].into_iter().chain(parent) {
        if !names.iter().any(|n| n == required) {
            let what = format!("the SELECT must give the key column `{required}` of `{}`", entity.name);
            return Err(file.error(at(select), what));
        }
    }
    Ok(names)
}

/// Fails `Invalid` for what is no own column of the entity.
pub(super) fn check_column(file: &File, line: u64, name: &str, entity: &Entity) -> Result<()> {
    if entity.column(name).is_some() {
        return Ok(());
    }
    if PREFIX.contains(&name) || SUFFIX.iter().any(|(own, ..)| *own == name) {
        return Err(file.error(line, format!("column `{name}` is added to every table by itself")));
    }
    let known = entity.columns.iter().map(|c| c.name.as_str());
    let what = format!("`{}` has no column `{name}`", entity.name);
    Err(file.error(line, what).hint(suggest(name, known)))
}

/// What must not be said, of any part of a SELECT that reads one table.
pub(super) struct Rules<'a> {
    pub(super) file: &'a File,
    pub(super) stream: &'a str,
}

pub(super) type Flow = ControlFlow<Box<Error>>;

impl Rules<'_> {
    fn refuse(&self, line: u64, what: impl Into<String>, hint: &str) -> Flow {
        ControlFlow::Break(Box::new(self.file.error(line, what).hint(hint)))
    }

    fn cast(&self, line: u64, kind: &CastKind, to: &DataType) -> Flow {
        if matches!(kind, CastKind::TryCast | CastKind::SafeCast) {
            return self.refuse(line, "try_cast hides bad values", "use money, quantity, rate or local_date");
        }
        if matches!(to, DataType::Varchar(_) | DataType::Text) {
            return ControlFlow::Continue(());
        }
        self.refuse(
            line,
            format!("a cast to {to} may round, wrap or shift silently"),
            "cast only to varchar; declare the field's type in `record`, or use money, quantity, rate or local_date",
        )
    }

    fn function(&self, line: u64, function: &Function) -> Flow {
        let name = function.name.to_string().to_lowercase();
        if !FUNCTIONS.contains(&name.as_str()) {
            let what = format!("function `{name}` is not allowed here");
            return self.refuse(line, what, &suggest(&name, FUNCTIONS));
        }
        let plain = function.over.is_none()
            && function.filter.is_none()
            && function.within_group.is_empty()
            && matches!(function.args, FunctionArguments::List(_));
        if plain {
            return ControlFlow::Continue(());
        }
        self.refuse(
            line,
            format!("`{name}` is only a plain function here"),
            "a mapping sees one record at a time",
        )
    }
}

fn is_arithmetic(op: &BinaryOperator) -> bool {
    use BinaryOperator as B;
    matches!(op, B::Plus | B::Minus | B::Multiply | B::Divide | B::Modulo)
}

impl Visitor for Rules<'_> {
    type Break = Box<Error>;

    fn pre_visit_query(&mut self, query: &Query) -> Flow {
        let line = at(query);
        if query.limit_clause.is_some() || query.fetch.is_some() {
            return self.refuse(line, "`limit`, `offset` and `fetch` lose rows", "use `where`");
        }
        if query.with.is_some() || query.order_by.is_some() || !query.pipe_operators.is_empty() {
            return self.refuse(line, "`with` and `order by` are not allowed", "use a SELECT in `from`");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> Flow {
        let line = at(select);
        let joined = select.from.len() != 1 || select.from.iter().any(|t| !t.joins.is_empty());
        if joined || !select.lateral_views.is_empty() {
            return self.refuse(
                line,
                format!("a mapping reads only `{}`: joins are not allowed", self.stream),
                "facts of other streams belong into a model",
            );
        }
        let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, with) if by.is_empty() && with.is_empty());
        if grouped || select.having.is_some() || select.qualify.is_some() || select.top.is_some() {
            return self.refuse(
                line,
                "`group by`, `having`, `qualify` and `top` are not allowed",
                "a mapping sees one record at a time; list_sum, list_min and list_max work on its lists",
            );
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> Flow {
        match table {
            TableFactor::Derived { lateral: false, sample: None, .. } => ControlFlow::Continue(()),
            TableFactor::Table { name, args: None, sample: None, version: None, .. }
                if name.to_string() == self.stream =>
            {
                ControlFlow::Continue(())
            }
            other => self.refuse(
                at(other),
                format!("a mapping of stream `{}` cannot read `{other}`", self.stream),
                &format!("read `{}`, or a SELECT from it", self.stream),
            ),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Flow {
        let line = at(expr);
        match expr {
            Expr::Cast { kind, data_type, .. } => self.cast(line, kind, data_type),
            Expr::Function(function) => self.function(line, function),
            Expr::BinaryOp { left, op, .. } if is_arithmetic(op) => self.refuse(
                at(left.as_ref()),
                format!("`{op}` may wrap or round silently"),
                "use add(a, b) or sub(a, b)",
            ),
            Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => {
                self.refuse(line, "a SELECT is only allowed in `from`", "a mapping sees one record at a time")
            }
            Expr::AtTimeZone { .. } | Expr::Extract { .. } | Expr::Interval(_) | Expr::TypedString(_) => {
                self.refuse(line, "times are not computed in a mapping", "use local_date(time, _zone)")
            }
            Expr::Ceil { .. } | Expr::Floor { .. } => {
                self.refuse(line, "amounts are not rounded in a mapping", "keep the value as it is")
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
