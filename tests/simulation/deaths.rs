//! At which effects does a process die, in which worlds? What `make sim` and `make replay` ask for, else a budget.
use super::harness::Crash;
use std::ops::RangeInclusive;

pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::vars().find(|(k, _)| k == name).and_then(|(_, v)| v.parse().ok())
}

/// The one of `TIDEGATE_SEED`; else from 1 to `TIDEGATE_SEEDS`, or to `usual`.
pub(crate) fn seeds(usual: u64) -> RangeInclusive<u64> {
    number("TIDEGATE_SEED").map_or(1..=number("TIDEGATE_SEEDS").unwrap_or(usual), |s| s..=s)
}

/// Deaths in a story of so many effects: the one of `TIDEGATE_CRASH`, if the story is that long; else at most `most`,
/// evenly spread. Each seed begins at another, so more seeds come to every one. An odd stride takes deaths before and
/// after an effect in turn.
pub(crate) fn deaths(seed: u64, effects: u64, most: u64) -> Vec<Crash> {
    let replay = std::env::vars().find(|(k, v)| k == "TIDEGATE_CRASH" && !v.is_empty()).map(|(_, v)| v);
    if let Some(text) = replay {
        let (effect, when) = text.split_once(':').unwrap_or((&text, "before"));
        let crash = Crash { effect: effect.parse().unwrap(), after: when == "after" };
        println!("seed {seed}, {crash:?} of {effects} effects");
        return Some(crash).filter(|c| c.effect < effects).into_iter().collect();
    }
    spread(seed, effects, most)
}

fn spread(seed: u64, effects: u64, most: u64) -> Vec<Crash> {
    let points = 2 * effects;
    let stride = points.div_ceil(most) | 1;
    let crash = |point: u64| Crash { effect: point / 2, after: point % 2 == 1 };
    (seed % stride..points).step_by(stride as usize).map(crash).collect()
}

#[test]
fn deaths_stay_within_their_budget_and_many_seeds_come_to_every_one() {
    for (effects, most) in [(9, 100), (50, 100), (51, 100), (333, 20), (1000, 7)] {
        let mut all = std::collections::BTreeSet::new();
        for seed in 1..=2 * effects {
            let some = spread(seed, effects, most);
            assert!(some.len() as u64 <= most && some.len() as u64 * 3 > most.min(2 * effects), "{effects}");
            assert!(some.iter().any(|c| c.after) && some.iter().any(|c| !c.after), "{effects}");
            all.extend(some.iter().map(|c| (c.effect, c.after)));
        }
        assert_eq!(all.len() as u64, 2 * effects);
    }
    assert_eq!(spread(1, 9, 100).len(), 18, "a budget that is large enough pays for all");
}
