# What Discord shows while a command is typed: at most 100 characters each. `.name` of a command or an option may be
# given in other languages; in English it is the name in the code.

command_imagine = Paint a picture from your words.
imagine_prompt = What should be painted? For several lines use /compose
imagine_model = Which model paints; /models says what each is good at
imagine_size = A name such as square, a shape such as 16:9, or width and height such as 1280x720
imagine_count = How many pictures
imagine_seed = A number; the same number and options paint the same picture again
imagine_negative_prompt = What should not be in the picture
imagine_style = A style of the chosen model
imagine_steps = More steps: slower, often finer
imagine_guidance = A number; the higher, the more closely the prompt is followed
imagine_image = A picture that the model changes, or uses as an example
imagine_mask = A black and white picture: white marks the part to change
imagine_options = Anything else the model takes, as name=value, for example acceleration=high
command_compose = Write a long prompt of several lines in a window of its own.
compose_model = Which model paints; leave it out for your own or the server's default
command_models = What each model is good at, how fast it is, what it costs, and its options.
models_name = Which one; leave it out to see all of them
command_usage = What you have left, when you get more, and your requests in progress.
command_cancel = Stop a request of yours that is waiting or being painted.
cancel_job = Which request; leave it out to stop your only one, or to choose from a list
command_help = How to paint, with three examples.
command_privacy = What is stored about you, where it goes, how long, and how to delete it.
command_settings = Your default model; the server's limits
command_settings_model = Choose the model that paints when none is named.
settings_model_model = The model that paints when none is named; `reset` goes back to the usual one
settings_model_whose = Your own default, or everybody's in this server (needs Manage Server)
choice_mine = mine
choice_this_server = this server
command_settings_limits = Set how much may be painted in this server (needs Manage Server).
settings_limits_images_per_hour = How many pictures each person gets back per hour
settings_limits_burst = How many pictures a person may paint in a row before having to wait
settings_limits_images_per_day = Pictures per day for each person
settings_limits_concurrent = Requests that a person may have in progress at the same time
settings_limits_server_images_per_day = Pictures per day for the whole server
settings_limits_server_concurrent = Requests that the whole server may have in progress at the same time; 0 means any number
settings_limits_reset = Go back to the bot's usual limits; limits given in the same command are set after that
command_settings_show = The default model and the limits that hold for you here.
