//! What every service needs to be operated.
