//! Policy without I/O: pure, total functions of what was observed. No clock, no randomness, no environment.

pub mod admit;
pub mod decide;
pub mod diagnosis;
pub mod imagepolicy;
mod location;
pub mod names;
pub mod observed;
pub mod planning;
pub mod plausible;
pub mod police;
pub mod probing;
pub mod removing;
pub mod render;
pub mod request;
pub mod restoring;
pub mod retention;
mod secrets;
mod size;
pub mod snapshot;
pub mod timetable;
