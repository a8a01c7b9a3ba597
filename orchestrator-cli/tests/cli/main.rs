//! The command line as a person or a script meets it: the real binary, an empty home, a project of
//! its own for each test.

mod accounts;
mod bad_input;
mod budgets;
mod cassettes;
mod coding;
mod commands;
mod constructs;
mod control;
mod durability;
mod estimates;
mod gateway;
mod harness;
mod history;
mod interrupted;
mod landing;
mod lost_places;
mod models;
mod narrow;
mod odd_repositories;
mod pointers;
mod programs;
mod repository;
mod routing;
mod sandbox;
mod schemas;
mod secrets;
mod streams;
mod telemetry;
mod terminal;
mod tokenizers;
mod without_git;
mod work;
mod workspaces;
