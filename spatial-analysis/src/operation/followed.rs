//! The classes that an operation follows, and which of them each zone and line is for.

use lva_zones::{Classes, CrossingLine, Zone};

/// The class that is followed where none is named.
pub(crate) const PERSON: &str = "person";

/// Classes by name. Zones, lines and their rules that name classes hold places among `named`; the others are for `base`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Followed {
    named: Vec<String>,
    /// Those of [`all`](Self::all) for what names none.
    base: usize,
    /// All that are followed, `base` first; empty where nothing is named: people alone.
    all: Vec<String>,
}

impl Followed {
    pub(super) fn new(
        base: Option<&[String]>,
        named: Vec<String>,
        zones: &[Zone],
        lines: &[CrossingLine],
    ) -> Self {
        if base.is_none() && named.is_empty() {
            return Self::default();
        }
        let person = [PERSON.to_owned()];
        let base: &[String] = match base {
            Some(base) => base,
            None if needs_base(zones, lines) => &person,
            None => &[],
        };
        let mut all: Vec<String> = Vec::new();
        let add = |all: &mut Vec<String>, names: &[String]| {
            for name in names {
                if !all.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                    all.push(name.clone());
                }
            }
            all.len()
        };
        let base = add(&mut all, base);
        add(&mut all, &named);
        Self { named, base, all }
    }

    /// The same with other classes for what names none.
    pub(super) fn with_base(&self, base: &[String], zones: &[Zone], lines: &[CrossingLine]) -> Self {
        Self::new(Some(base), self.named.clone(), zones, lines)
    }

    /// All that are followed; `None`: people alone.
    pub(super) fn all(&self) -> Option<&[String]> {
        (!self.all.is_empty()).then_some(&self.all)
    }

    /// A model's classes, of places among those that are named.
    fn of_model(&self, classes: &Classes, model: Option<&[u16]>) -> Classes {
        let Some(model) = model else {
            return Classes::default();
        };
        let Some(named) = classes.as_slice() else {
            return match self.all.len() > self.base {
                true => Classes::only(model.iter().copied().take(self.base)),
                false => Classes::default(),
            };
        };
        let names = named
            .iter()
            .filter_map(|place| self.named.get(usize::from(*place)));
        Classes::only(names.filter_map(|name| {
            let mut all = self.all.iter();
            let place = all.position(|known| known.eq_ignore_ascii_case(name))?;
            model.get(place).copied()
        }))
    }

    /// A zone for a model, whose classes are in the order of [`all`](Self::all); without them, for every class.
    pub(super) fn zone(&self, mut zone: Zone, model: Option<&[u16]>) -> Zone {
        for classes in classes_of(&mut zone) {
            *classes = self.of_model(classes, model);
        }
        zone
    }

    pub(super) fn line(&self, mut line: CrossingLine, model: Option<&[u16]>) -> CrossingLine {
        line.classes = self.of_model(&line.classes, model);
        line
    }
}

fn classes_of(zone: &mut Zone) -> impl Iterator<Item = &mut Classes> {
    let rules = zone.dwell.iter_mut().map(|rule| &mut rule.classes);
    let rules = rules.chain(zone.count.iter_mut().map(|rule| &mut rule.classes));
    let rules = rules.chain(zone.distance.iter_mut().map(|rule| &mut rule.classes));
    rules.chain([&mut zone.classes])
}

/// Whether a zone, a line or a rule names no classes.
fn needs_base(zones: &[Zone], lines: &[CrossingLine]) -> bool {
    let mut zones = zones.iter().cloned();
    let mut lines = lines.iter();
    zones.any(|mut zone| classes_of(&mut zone).any(|classes| classes.as_slice().is_none()))
        || lines.any(|line| line.classes.as_slice().is_none())
}
