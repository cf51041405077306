SELECT number, head FROM {enter}($1, $2, $3, $4, $5)
