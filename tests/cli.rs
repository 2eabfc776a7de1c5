//! The real binary against a provider behind a real socket.
mod control;
mod database;
mod exits;
mod faces;
mod faults;
mod first;
mod insight;
mod kills;
mod records;
mod repair;
mod site;
mod stage;
mod tables;
mod verify;
