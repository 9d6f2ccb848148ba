# A request that became a job already when somebody clicks once more.

draft_taken = This was asked for already.
draft_taken_at = This was asked for already: [here it is]({ $link }).
