//! The contract, on plain maps.
use super::contract::{Harness, every_case};
use std::sync::{Arc, Mutex};
use tidegate::load::memory::{Memory, Store};

#[derive(Default)]
struct Shared(Arc<Mutex<Store>>);

impl Harness for Shared {
    type D = Memory;
    const LOCKS: bool = false;
    async fn reopen(&self) -> Memory {
        Memory::new(Arc::clone(&self.0))
    }
    async fn evict(&self) {}
}

every_case!(Shared::default());
