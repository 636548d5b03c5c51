//! The stored form of a day's sums, and of one thing that is counted.

use std::collections::BTreeMap;

use super::RecordError;
use super::form::{Form, Reader, Writer, fields, variants};
use crate::domain::report::{Count, Counted, Group, GroupBy, Label, Rollup, Sums, TimeClass, Traits};

fields!(Count { at, what, of, taken_back });
fields!(Traits { opened_source, closed_source, category, agent });
fields!(Sums { opened, reopened, closed, reversed, times });

variants!(Counted, "what is counted" { 0 = Opened { again }, 1 = Closed { after }, 2 = Reversed });
variants!(Group, "a group" { 0 = OpenedSource(source), 1 = ClosedSource(source), 2 = Category(label), 3 = Agent(label) });
variants!(Label, "a label" { 0 = None, 1 = Named(name), 2 = Other });

/// What is grouped by one thing stands in bytes of its own, so that a report reads only what it asks for.
impl Form for Rollup {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.array(SECTIONS.len());
        for by in SECTIONS {
            let section: Vec<(&Group, &Vec<(u8, Sums)>)> = self.groups.iter().filter(|(group, _)| group.by() == by).collect();
            let mut inner = Writer::new(64 * section.len());
            inner.array(2 * section.len());
            for (group, quarters) in section {
                group.write(&mut inner);
                quarters.write(&mut inner);
            }
            let bytes = inner.finish();
            to.bin(bytes.len());
            to.raw(&bytes);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        read(from, None)
    }
}

/// In the order in which they stand.
const SECTIONS: [GroupBy; 4] = [GroupBy::OpenedSource, GroupBy::ClosedSource, GroupBy::Category, GroupBy::Agent];

/// All of it, or only what is grouped by this.
pub fn read(from: &mut Reader<'_>, only: Option<GroupBy>) -> Result<Rollup, RecordError> {
    from.array(SECTIONS.len(), "sums by what they have in common")?;
    let mut rollup = Rollup::default();
    for by in SECTIONS {
        let bytes = from.bin("sums of one kind")?;
        if only.is_some_and(|only| only != by) {
            continue;
        }
        let mut inner = Reader::new(bytes).map_err(|_| from.unexpected("sums of one kind", "another form than they are in"))?;
        let groups: BTreeMap<Group, Vec<(u8, Sums)>> = Form::read(&mut inner)?;
        inner.finish()?;
        if groups.keys().any(|group| group.by() != by) {
            return Err(from.unexpected("sums of one kind", "one of another"));
        }
        rollup.groups.extend(groups);
    }
    Ok(rollup)
}

impl Form for TimeClass {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        self.0.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let class = Form::read(from).map(Self)?;
        if class > Self::MAX { Err(from.unexpected("a class of times", class.0)) } else { Ok(class) }
    }
}
