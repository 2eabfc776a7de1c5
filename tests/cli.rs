//! The real binary against a provider behind a real socket.
mod control;
mod database;
mod exits;
mod faces;
mod faults;
mod insight;
mod kills;
mod privacy;
mod records;
mod repair;
mod site;
mod stage;
mod tables;
mod verify;
