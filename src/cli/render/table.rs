//! Tables that stay readable: on a narrow terminal the less important columns leave, then long text wraps, then each
//! row becomes a block of `key  value` lines.
use super::Look;
use comfy_table::{
    Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table as Drawn,
    TableStyle, Width,
};

/// Text may be wrapped down to this, no further.
const TEXT_MIN: u16 = 16;
/// Between columns; one of it is drawn by the line under the header.
const GAP: u16 = 2;

/// What to show; looks are decided when it is drawn.
#[derive(Clone, Debug, Default)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Clone, Debug)]
struct Column {
    name: String,
    number: bool,
    /// 0 stays; of the others the lowest leave first.
    leaves: u8,
}

impl Table {
    /// No columns yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// Adds a column of text.
    #[must_use]
    pub fn text(mut self, name: impl Into<String>) -> Self {
        self.columns.push(Column { name: name.into(), number: false, leaves: 0 });
        self
    }
    /// Adds a column of figures: to the right, never wrapped.
    #[must_use]
    pub fn number(mut self, name: impl Into<String>) -> Self {
        self.columns.push(Column { name: name.into(), number: true, leaves: 0 });
        self
    }
    /// The last column leaves when there is not enough room: those of `order` 1 first, then 2, and so on.
    #[must_use]
    pub fn leaves(mut self, order: u8) -> Self {
        if let Some(last) = self.columns.last_mut() {
            last.leaves = order;
        }
        self
    }
    /// Adds a row; one text per column.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// The lines, each with its line break. Empty when there are no rows.
    pub fn draw(&self, look: &Look) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let Some(width) = look.width else { return self.lines(&shown, look, None) };
        let last_to_leave = self.columns.iter().map(|c| c.leaves).max().unwrap_or(0);
        for order in 0..=last_to_leave {
            shown.retain(|i| self.columns.get(*i).is_some_and(|c| c.leaves == 0 || c.leaves > order));
            if self.room(&shown, u16::MAX) <= width {
                return self.lines(&shown, look, None);
            }
        }
        if self.room(&shown, TEXT_MIN) <= width {
            return self.lines(&shown, look, Some(width));
        }
        self.blocks(look)
    }

    /// Columns needed when text may be wrapped down to `text_min`.
    fn room(&self, shown: &[usize], text_min: u16) -> u16 {
        let widths = self.drawn(shown, &Look::plain()).column_max_content_widths();
        let each = shown.iter().zip(widths).map(|(i, width)| match self.columns.get(*i) {
            Some(column) if !column.number => width.min(text_min),
            _ => width,
        });
        each.fold(0, |sum: u16, width| sum.saturating_add(width).saturating_add(GAP)).saturating_sub(GAP)
    }

    fn drawn(&self, shown: &[usize], look: &Look) -> Drawn {
        let mut table = Drawn::new();
        let line = LineStyle::none().fill('─').junction('─');
        table.load_style(TableStyle::new().header_separator(line)).force_no_tty();
        table.set_content_arrangement(ContentArrangement::Disabled);
        if look.colour {
            table.enforce_styling();
        }
        let columns = || shown.iter().filter_map(|i| self.columns.get(*i));
        let align = |c: &Column| if c.number { CellAlignment::Right } else { CellAlignment::Left };
        table.set_header(columns().map(|c| {
            let cell = Cell::new(&c.name).set_alignment(align(c));
            if look.colour { cell.add_attribute(Attribute::Bold) } else { cell }
        }));
        for row in &self.rows {
            let cell = |i: &usize| {
                let column = self.columns.get(*i)?;
                Some(Cell::new(row.get(*i).map_or("", String::as_str)).set_alignment(align(column)))
            };
            table.add_row(shown.iter().filter_map(cell));
        }
        let last = shown.len().saturating_sub(1);
        for (i, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, if i == last { 0 } else { GAP - 1 }));
        }
        table
    }

    fn lines(&self, shown: &[usize], look: &Look, width: Option<u16>) -> String {
        let mut table = self.drawn(shown, look);
        if let Some(width) = width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
            let widths = table.column_max_content_widths();
            for ((i, drawn), content) in shown.iter().zip(table.column_iter_mut()).zip(widths) {
                let wraps = content > TEXT_MIN && self.columns.get(*i).is_some_and(|c| !c.number);
                drawn.set_constraint(match wraps {
                    true => ColumnConstraint::LowerBoundary(Width::Fixed(TEXT_MIN)),
                    false => ColumnConstraint::ContentWidth,
                });
            }
        }
        table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    /// The first column is the block's title.
    fn blocks(&self, look: &Look) -> String {
        let key = self.columns.iter().skip(1).map(|c| c.name.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for row in &self.rows {
            let mut cells = row.iter().zip(&self.columns);
            if let Some((title, _)) = cells.next() {
                text.push_str(&look.bold(title));
                text.push('\n');
            }
            for (value, column) in cells.filter(|(value, _)| !value.is_empty()) {
                let pad = " ".repeat(key - column.name.chars().count());
                let lead = format!("  {}{pad}  ", column.name);
                text.push_str(&wrapped(&lead, value, look.width));
            }
        }
        text
    }
}

/// `lead` and `value`, broken at the width; further lines begin under the value.
fn wrapped(lead: &str, value: &str, width: Option<u16>) -> String {
    let indent = lead.chars().count();
    let room = usize::from(width.unwrap_or(u16::MAX)).saturating_sub(indent).max(8);
    let mut text = lead.to_owned();
    let mut used = 0;
    for word in value.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + word.len() > room {
            text.push_str(&format!("\n{}", " ".repeat(indent)));
            used = 0;
        } else if used > 0 {
            text.push(' ');
            used += 1;
        }
        while word.len() > room {
            let rest = word.split_off(room);
            text.extend(word);
            text.push_str(&format!("\n{}", " ".repeat(indent)));
            word = rest;
        }
        used += word.len();
        text.extend(word);
    }
    text.push('\n');
    text
}
