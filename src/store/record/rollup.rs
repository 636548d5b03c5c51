//! The stored form of a day's sums, and of one thing that is counted.

use super::RecordError;
use super::form::{Form, Reader, Writer, fields, variants};
use crate::domain::report::{Count, Counted, Group, Label, Rollup, Sums, TimeClass, Traits};

fields!(Count { at, what, of, taken_back });
fields!(Traits { opened_source, closed_source, category, agent });
fields!(Rollup { groups });
fields!(Sums { opened, reopened, closed, reversed, times });

variants!(Counted, "what is counted" { 0 = Opened { again }, 1 = Closed { after }, 2 = Reversed });
variants!(Group, "a group" { 0 = OpenedSource(source), 1 = ClosedSource(source), 2 = Category(label), 3 = Agent(label) });
variants!(Label, "a label" { 0 = None, 1 = Named(name), 2 = Other });

impl Form for TimeClass {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        self.0.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let class = Form::read(from).map(Self)?;
        if class > Self::MAX { Err(from.unexpected("a class of times", class.0)) } else { Ok(class) }
    }
}
