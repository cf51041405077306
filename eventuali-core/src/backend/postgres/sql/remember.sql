SELECT id, set_config('eventuali.stamp', {stamp}(), false) FROM {store}
