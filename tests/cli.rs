//! The real binary against a provider behind a real socket.
mod control;
mod database;
mod dictionary;
mod exits;
mod faces;
mod faults;
mod insight;
mod kills;
mod overlays;
mod records;
mod repair;
mod site;
mod stage;
mod state;
mod tables;
mod verify;
