//! Figures side by side: medians, as a table or as JSON.

/// One run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figure {
    /// user + sys seconds.
    pub(crate) cpu: f64,
    /// The same of the database server.
    pub(crate) server_cpu: Option<f64>,
    /// Peak, in KiB; 0 where it was not measured.
    pub(crate) rss_kb: u64,
    /// Seconds.
    pub(crate) wall: f64,
    pub(crate) requests: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// All figures.
pub(crate) struct Report {
    title: String,
    lines: Vec<(String, Figure, usize)>,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

impl Report {
    pub(crate) fn new(size: &str, gzip: bool) -> Self {
        Self { title: format!("size {size}, {}", if gzip { "gzip" } else { "no gzip" }), lines: Vec::new() }
    }
    /// One line: the median of each figure.
    pub(crate) fn add(&mut self, name: &str, runs: Vec<Figure>) {
        let of = |pick: &dyn Fn(&Figure) -> f64| median(runs.iter().map(pick).collect());
        let last = runs.last().cloned().unwrap_or_default();
        let middle = Figure {
            cpu: of(&|f| f.cpu),
            server_cpu: last.server_cpu.map(|_| of(&|f| f.server_cpu.unwrap_or_default())),
            rss_kb: of(&|f| f.rss_kb as f64) as u64,
            wall: of(&|f| f.wall),
            ..last
        };
        eprintln!("{}", line(name, &middle));
        self.lines.push((name.to_owned(), middle, runs.len()));
    }
    /// To standard output.
    pub(crate) fn print(&self, json: bool) {
        if json {
            let lines = self.lines.iter().map(|(name, f, runs)| {
                serde_json::json!({
                    "name": name, "runs": runs, "cpu_s": f.cpu, "server_cpu_s": f.server_cpu, "rss_kb": f.rss_kb,
                    "wall_s": f.wall, "requests": f.requests, "records": f.records, "bytes": f.bytes,
                })
            });
            let lines: Vec<_> = lines.collect();
            println!("{}", serde_json::json!({ "title": self.title, "figures": lines }));
            return;
        }
        println!("\n{}; medians; CPU is user + sys\n", self.title);
        println!("{HEAD}");
        self.lines.iter().for_each(|(name, figure, _)| println!("{}", line(name, figure)));
    }
}

const HEAD: &str = "                                   CPU s  server s   RSS MB   wall s  requests  records  records/s     MB/s";

fn line(name: &str, f: &Figure) -> String {
    let or_blank = |there: bool, text: String| if there { text } else { "-".to_owned() };
    let per_second = |amount: f64| if f.wall > 0.0 { amount / f.wall } else { 0.0 };
    format!(
        "{name:<32} {:>7.3} {:>9} {:>8} {:>8.3} {:>9} {:>8} {:>10} {:>8}",
        f.cpu,
        f.server_cpu.map_or_else(|| "-".into(), |s| format!("{s:.2}")),
        or_blank(f.rss_kb > 0, format!("{:.0}", f.rss_kb as f64 / 1024.0)),
        f.wall,
        or_blank(f.requests > 0, f.requests.to_string()),
        or_blank(f.records > 0, f.records.to_string()),
        or_blank(f.records > 0, format!("{:.0}", per_second(f.records as f64))),
        or_blank(f.bytes > 0, format!("{:.0}", per_second(f.bytes as f64 / 1e6))),
    )
}
