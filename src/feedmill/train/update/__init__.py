"""Models that learn on: a full pass every night, and user-id rows every few minutes in between."""
