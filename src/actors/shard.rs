use super::handle::Unready;
use crate::domain::id::Fingerprint;
use crate::store::LogId;

#[derive(Clone)]
pub struct Door;

impl Door {
    pub fn has_applied(&self, _name: Fingerprint) -> bool {
        todo!()
    }
    pub async fn applied(&self, _ids: Vec<LogId>) -> Result<Vec<bool>, Unready> {
        todo!()
    }
    pub fn is_ready(&self) -> bool {
        todo!()
    }
    pub fn live(&self) -> usize {
        todo!()
    }
    pub async fn stop(&self) {
        todo!()
    }
}
