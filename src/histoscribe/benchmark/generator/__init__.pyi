from .bed import Profiles as Profiles, Request as Request, Sampler as Sampler, Seed as Seed
from .benchmark import BEDS as BEDS, generator_benchmark as generator_benchmark
