"""From pictures to answers: the networks of a run, asked in bounded memory."""
