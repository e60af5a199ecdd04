//! The whole program: the real binary, its agent, gateway and services, on real files and sockets.

mod access;
mod bad_input;
mod crashes;
mod full_disk;
mod live;
mod operator;
mod own_programs;
mod support;
