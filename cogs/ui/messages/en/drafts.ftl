# A request that became a job already when somebody clicks once more.

draft_taken = This was asked for already.
draft_taken_at = This was asked for already: [here it is]({ $link }).

# Ways on from a refusal.

not_yours_draft = Only the person who typed this can go on with it. { no_quota }
draft_elsewhere = This belongs to another channel; go on with it there. { no_quota }
fix_other_model = Go on with another model…
elsewhere_option = { $model } has no option `{ $option }`. { $count ->
        [one] This model has it: { AND($models) }. Everything you typed is kept: choose it below.
       *[other] These models have it: { AND($models) }. Everything you typed is kept: choose one of them below.
    } { no_quota }
elsewhere_option_some = { $model } has no option `{ $option }`. Some that have it: { AND($models) }. Everything you typed is kept: choose one below. { no_quota }
elsewhere_picture = { $model } can't start from a picture (`{ $option }`). { $count ->
        [one] This model can: { AND($models) }. Everything you typed and attached is kept: choose it below.
       *[other] These models can: { AND($models) }. Everything you typed and attached is kept: choose one of them below.
    } { no_quota }
elsewhere_option_clash = { $model } has no option `{ $option }`. { AND($models) } { $count ->
        [one] has it, but does
       *[other] have it, but do
    } not take everything else you typed. Everything you typed is kept: press **{ action_fix }** to change it. { no_quota }
elsewhere_picture_clash = { $model } can't start from a picture (`{ $option }`). { AND($models) } can, but { $count ->
        [one] does
       *[other] do
    } not take everything else you typed. Everything you typed and attached is kept: press **{ action_fix }** to change it. { no_quota }
elsewhere_needs = { $model } can't start from a picture (`{ $option }`). { $count ->
        [one] This model can: { AND($models) }. But it also needs
       *[other] These models can: { AND($models) }. But they also need
    } { CODES($needs) }, which you did not give. { $count ->
        [one] Choose it below
       *[other] Choose one of them below
    }, then press **{ action_fix }** and add it. Everything you typed and attached is kept. { no_quota }
elsewhere_picture_some = { $model } can't start from a picture (`{ $option }`). Some that can: { AND($models) }. Everything you typed and attached is kept: choose one below. { no_quota }
