//! Tables of text.

/// Rows of cells, aligned to the left. The last cell of a row is not padded.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Row>,
    /// Spaces between columns.
    gap: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self::with_gap(3)
    }
}

#[derive(Debug)]
enum Row {
    Cells(Vec<String>),
    /// A table within the table, that begins at the second column.
    Inner(Table),
}

impl Table {
    /// A table with so many spaces between its columns.
    pub(crate) fn with_gap(gap: usize) -> Self {
        Self { rows: Vec::new(), gap }
    }

    /// Adds a row.
    pub(crate) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(Row::Cells(cells.into_iter().map(Into::into).collect()));
    }

    /// Adds a table under the last row, indented to the second column.
    pub(crate) fn inner(&mut self, table: Self) {
        self.rows.push(Row::Inner(table));
    }

    /// The table as lines.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        self.render_into(&mut text, 0);
        text
    }

    fn render_into(&self, text: &mut String, indent: usize) {
        let widths = self.widths();
        for row in &self.rows {
            let cells = match row {
                Row::Inner(table) => {
                    table.render_into(text, indent + widths.first().map_or(0, |width| width + self.gap));
                    continue;
                }
                Row::Cells(cells) => cells,
            };
            text.extend(std::iter::repeat_n(' ', indent));
            for (index, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                text.push_str(cell);
                if index + 1 < cells.len() {
                    text.extend(std::iter::repeat_n(' ', width + self.gap - cell.chars().count()));
                }
            }
            text.push('\n');
        }
    }

    /// Characters in the widest cell of each column.
    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in &self.rows {
            let Row::Cells(cells) = row else { continue };
            widths.resize(widths.len().max(cells.len()), 0);
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = cell.chars().count().max(*width);
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_align_and_an_inner_table_begins_at_the_second() {
        let mut table = Table::default();
        table.row(["ID", "NAME", "MODE"]);
        table.row(["1", "ä-longer-name", "x"]);
        let mut inner = Table::default();
        inner.row(["SECTION", "STATUS"]);
        inner.row(["a", "loaded"]);
        table.inner(inner);
        let expected = "ID   NAME            MODE\n1    ä-longer-name   x\n     SECTION   STATUS\n     a         loaded\n";
        assert_eq!(table.render(), expected);
    }
}
