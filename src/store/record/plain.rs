//! The forms of what is no type of ours: numbers, texts, lists, maps, and what may be absent.

use std::collections::BTreeMap;

use super::RecordError;
use super::form::{Form, Reader, Writer};

impl<T: Form> Form for Option<T> {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        match self {
            Some(value) => value.write(to),
            None => to.nil(),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        if from.is_nil() { Ok(None) } else { T::read(from).map(Some) }
    }
}

impl<T: Form> Form for Vec<T> {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.array(self.len());
        for value in self {
            value.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        (0..from.list("a list")?).map(|_| T::read(from)).collect()
    }
}

impl<K: Form + Ord, V: Form> Form for BTreeMap<K, V> {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.array(2 * self.len());
        for (key, value) in self {
            key.write(to);
            value.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let length = from.list("keys and values")?;
        if length % 2 != 0 {
            return Err(from.unexpected("keys and values", "a key without a value"));
        }
        let mut map = Self::new();
        for _ in 0..length / 2 {
            let key = K::read(from)?;
            if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(from.unexpected("keys in order", "one that is not behind the one before"));
            }
            map.insert(key, V::read(from)?);
        }
        Ok(map)
    }
}

impl<A: Form, B: Form> Form for (A, B) {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.array(2);
        self.0.write(to);
        self.1.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        from.array(2, "a pair")?;
        Ok((A::read(from)?, B::read(from)?))
    }
}

impl<T: Form> Form for Box<T> {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        (**self).write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        T::read(from).map(Box::new)
    }
}

impl Form for Box<str> {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.text(self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        from.text("a text").map(Into::into)
    }
}

impl Form for bool {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.bool(*self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        from.bool("true or false")
    }
}

impl Form for u64 {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.uint(*self);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        from.int("a count")
    }
}

impl Form for u16 {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.uint(u64::from(*self));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        from.int("a count")
    }
}

impl Form for u8 {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.uint(u64::from(*self));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        from.int("a count")
    }
}

impl Form for u32 {
    fn write<'a>(&'a self, to: &mut Writer<'a>) {
        to.uint(u64::from(*self));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        from.int("a count")
    }
}
