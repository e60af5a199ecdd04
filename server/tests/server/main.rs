//! The whole program: the real binary, its agent, gateway and services, on real files and sockets.

mod access;
mod audit;
mod bad_input;
mod by_service;
mod canary;
mod ci;
mod crashes;
mod deaths;
mod exec;
mod fencing;
mod full_disk;
mod guard;
mod live;
mod lockdown;
mod network;
mod operator;
mod own_programs;
mod pages;
mod promote;
mod repeated;
mod restrictions;
mod roles;
mod rollbacks;
mod sessions;
mod support;
mod unknown;
