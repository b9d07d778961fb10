//! The Fair Exchange File Market and what the survey made of it. The names of the messages (1.1 to 3.3) are those of its
//! figure 2, the lines of CSP those of its sections V.D and VI.A.

mod fixed;
mod framing;
mod league;
mod original;
mod protocol;
mod specs;
