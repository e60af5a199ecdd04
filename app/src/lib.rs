//! Pages and server functions of Lockstep.
